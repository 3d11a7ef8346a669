/** The values of a flat mapping in YAML or JSON, where they stand. */

export interface Entries {
  readonly values: readonly Value[];
  /** Where the mapping ends, or where the text does. */
  readonly end: number;
}

interface Value {
  readonly start: number;
  readonly end: number;
}

const LINE = /([ \t]*)([^\n]*)\n?/y;
const KEY = /^(?:"[^"]*"|'[^']*'|[^\s:#"']+)[ \t]*:(?:[ \t]+|$)/;
/** A value that is in the lines below, with whatever says how. */
const BELOW = /^(?:[&!]\S+[ \t]*)?(?:[|>][-+0-9]{0,2})?[ \t]*(?:#.*)?$/;

/** In YAML: the lines that are further in than `column`, and what they have behind their keys or have without one. */
export function readBlock(text: string, from: number, column: number): Entries {
  const values: Value[] = [];
  let keys = -1;
  for (let at = from; at < text.length; at = LINE.lastIndex) {
    LINE.lastIndex = at;
    const [, indent = '', rest = ''] = LINE.exec(text) ?? [];
    const line = rest.trimEnd();
    if (line === '') continue;
    if (indent.length <= column) return { values, end: at };
    if (keys === -1) keys = indent.length;
    const key = indent.length > keys ? '' : (KEY.exec(line)?.[0] ?? line);
    const value = line.slice(key.length);
    if (!BELOW.test(value)) values.push(withoutQuotes(value, at + indent.length + key.length));
  }
  return { values, end: text.length };
}

function withoutQuotes(value: string, start: number): Value {
  const isQuoted = /^(?:".*"|'.*')$/.test(value);
  return isQuoted
    ? { start: start + 1, end: start + value.length - 1 }
    : { start, end: start + value.length };
}

const NAME = /[\s,]*(\\*)"[\w.-]{1,253}\\*"\s*:\s*/y;
const MAX_NAME = 300;
const TEXT = /(?:[^"\\]|\\.)*/sy;
/** A number or a word; no object, since the mapping is flat. */
const OTHER = /[\w.+-]+/y;
const CLOSING = /[\s,]*\}/y;

/** In JSON, or JSON that is a text in JSON: from behind the opening brace. */
export function readObject(text: string, from: number): Entries {
  const values: Value[] = [];
  for (let at = from; ; ) {
    NAME.lastIndex = at;
    const escaped = NAME.exec(text)?.[1];
    if (escaped === undefined) {
      const closing = lastIndexAfter(CLOSING, text, at);
      if (closing > at) return { values, end: closing };
      // What is too long for a name is no object of Kubernetes'.
      return { values, end: text.length - at < MAX_NAME ? text.length : at };
    }
    const quote = `${escaped}"`;
    at = NAME.lastIndex;
    if (!text.startsWith(quote, at)) {
      const end = lastIndexAfter(OTHER, text, at);
      if (end === at && at < text.length) return { values, end: at };
      at = end;
      continue;
    }
    const start = at + quote.length;
    const closing = escaped === '' ? lastIndexAfter(TEXT, text, start) : text.indexOf(quote, start);
    const end = closing === -1 ? text.length : closing;
    values.push({ start, end });
    if (end >= text.length) return { values, end: text.length };
    at = end + quote.length;
  }
}

function lastIndexAfter(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}
