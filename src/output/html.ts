import { visibleBlock } from './escape.ts';

/** Markup that is known to be ours. A symbol, because no JSON, however hostile, has one among its keys. */
const MARKUP = Symbol('markup');

export interface Html {
  readonly [MARKUP]: string;
}

/** What may stand in a template: markup of ours as it is, everything else as text. Null is nothing. */
export type HtmlValue = Html | string | number | null | readonly HtmlValue[];

/**
 * Markup from a template. Whatever is put in is text, in an element as in an attribute in double quotes: what HTML
 * would act on becomes references, and what the eye would not see becomes escapes. Not for what stands in a tag
 * outside of quotes, in `style`, in `script` or in an address; nothing of others goes there.
 */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  const parts = strings.map(
    (part, index) => part + (index < values.length ? render(values[index] ?? null) : ''),
  );
  return { [MARKUP]: parts.join('') };
}

/** The text of a document or a part of one. */
export function toMarkup(part: Html): string {
  return part[MARKUP];
}

function render(value: HtmlValue): string {
  if (value === null) return '';
  if (typeof value === 'string' || typeof value === 'number') return escapeHtml(String(value));
  return MARKUP in value ? value[MARKUP] : value.map(render).join('');
}

const REFERENCES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
};

function escapeHtml(text: string): string {
  return visibleBlock(text).replace(/[&<>"'`]/g, (char) => REFERENCES[char] ?? '');
}
