import type { Context } from '../context.ts';
import type { Output } from './output.ts';

/** The progress of something that takes a while. */
export interface Steps {
  update(text: string): void;
  done(): void;
}

/** A spinner on a terminal; nothing anywhere else, where it would be noise in a log. */
export async function createSteps(context: Context, output: Output): Promise<Steps> {
  // A terminal of unknown width reports 0 columns, and a spinner that divides by it would never end.
  const { columns = 0 } = context.stderr as { columns?: number };
  if (!context.stderrIsTerminal || columns < 1 || output.json) return { update() {}, done() {} };
  const { createSpinner } = await import('./progress.ts');
  const spinner = createSpinner(context);
  return {
    update(text) {
      spinner.text = text;
      if (!spinner.isSpinning) spinner.start();
      else spinner.render();
    },
    done: () => void spinner.stop(),
  };
}
