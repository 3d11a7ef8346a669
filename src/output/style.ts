import type { Context } from '../context.ts';

/** How text is made to stand out; without colour every function gives its text back. */
export interface Style {
  readonly colored: boolean;
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly cyan: (text: string) => string;
}

export type ColorChoice = 'auto' | 'always' | 'never';

const PLAIN = (text: string): string => text;

/** `--no-color` and NO_COLOR (no-color.org) win over FORCE_COLOR, that over the setting, that over the terminal. */
export function wantsColor(context: Context, choice: ColorChoice, isTerminal: boolean): boolean {
  if (choice === 'never' || (context.env.NO_COLOR ?? '') !== '') return false;
  const forced = context.env.FORCE_COLOR;
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  if (choice === 'always') return true;
  return isTerminal && context.env.TERM !== 'dumb';
}

/** chalk is loaded only when there is colour to show. */
export async function createStyle(colored: boolean): Promise<Style> {
  if (!colored) {
    return { colored, bold: PLAIN, dim: PLAIN, red: PLAIN, green: PLAIN, yellow: PLAIN, cyan: PLAIN };
  }
  const { Chalk } = await import('chalk');
  const { bold, dim, red, green, yellow, cyan } = new Chalk({ level: 1 });
  return { colored, bold, dim, red, green, yellow, cyan };
}
