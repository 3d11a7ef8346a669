/**
 * Text that came from a manifest, a task or another machine is shown, never performed: by the terminal, by the
 * eye that reads it, or by the CI system that collects the log.
 */

/**
 * What a terminal may act on or a reader cannot see: controls (C0, DEL, C1, and with them ESC and CSI), format
 * characters (bidi, zero-width, tags), everything else that is drawn as nothing, the two line separators, lone
 * surrogates and noncharacters. The one exception is the selector U+FE0F where it makes an emoji (⚠️) or a keycap of
 * the character before it.
 */
const UNSAFE =
  /[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}\p{Cs}\p{Noncharacter_Code_Point}](?<!\p{Extended_Pictographic}\ufe0f)(?<![0-9#*]\ufe0f(?=\u20e3))/gu;

/**
 * One line in which every unsafe character is written as an escape: `\n`, `\x1b`, `\u202e`, `\u{e0041}`. All other
 * text is kept as it is, backslashes too: the result is for people, and does not parse back.
 */
export function visible(text: string): string {
  return text.replace(UNSAFE, escapeOf);
}

/** The same, but line feeds and tabs stay what they are. */
export function visibleBlock(text: string): string {
  return text.replace(UNSAFE, (char) => (char === '\n' || char === '\t' ? char : escapeOf(char)));
}

function escapeOf(char: string): string {
  if (char === '\n') return '\\n';
  if (char === '\r') return '\\r';
  if (char === '\t') return '\\t';
  const code = char.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\u{${hex}}`;
}

/**
 * A line that no CI system takes for a command of its own, and that still reads as what it was. GitHub Actions
 * acts on `::name::` at the start of a line, white space aside, and on `##[name]` anywhere in it; Azure Pipelines
 * and TeamCity on `##vso[…]` and `##teamcity[…]`. A space goes where the two marks of each must stand together.
 *
 * For one line, as `visible` and the line splitter make them: a line feed inside would begin another.
 */
export function neutralizeWorkflowCommands(line: string): string {
  return line
    .replace(/^([\s\p{Cc}\p{Default_Ignorable_Code_Point}]*):(?=:)/u, '$1: ')
    .replace(/#(?=#[a-z]*\[)/gi, '# ');
}

export interface LineSplitter {
  push(chunk: Uint8Array): void;
  /** Delivers a last line that has no end. */
  end(): void;
}

/**
 * JSON that a terminal cannot be moved by: what JSON.stringify leaves as it is (C1 controls, bidi and invisible
 * characters) is written as escapes, which mean the same to every JSON parser.
 */
export function safeJson(value: unknown, indent?: number): string {
  // Line feeds that are left are JSON.stringify's own; those inside strings it has escaped.
  return JSON.stringify(value, null, indent).replace(UNSAFE, (char) =>
    char === '\n' ? char : jsonEscapeOf(char),
  );
}

function jsonEscapeOf(char: string): string {
  const units = [...Array(char.length).keys()].map((at) => char.charCodeAt(at));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}

const LF = 0x0a;
const CR = 0x0d;

/**
 * Makes lines of a stream of UTF-8. A line ends at `\n`, `\r\n` or a lone `\r`, so that a progress bar is lines too;
 * its end is not part of it. Invalid bytes become U+FFFD. A line of more than `maxLineBytes` is delivered in pieces
 * of at most that size, cut between characters. Memory is bounded by it, and how the stream is split into chunks
 * makes no difference.
 *
 * @throws RangeError when `maxLineBytes` is too small for a character of 4 bytes
 */
export function createLineSplitter(
  { maxLineBytes }: { readonly maxLineBytes: number },
  onLine: (line: string) => void,
): LineSplitter {
  if (!(maxLineBytes >= 4)) throw new RangeError(`maxLineBytes: expected at least 4, found ${maxLineBytes}`);
  const line = Buffer.alloc(maxLineBytes);
  let length = 0;
  let afterCr = false;

  const append = (bytes: Uint8Array): void => {
    for (let rest = bytes; rest.length > 0; ) {
      if (length === line.length) {
        const cut = cutBefore(line, rest[0]);
        deliver(cut);
        line.copyWithin(0, cut);
        length = line.length - cut;
      }
      const part = rest.subarray(0, line.length - length);
      line.set(part, length);
      length += part.length;
      rest = rest.subarray(part.length);
    }
  };

  const deliver = (size: number): void => {
    length = 0;
    onLine(line.toString('utf8', 0, size));
  };

  return {
    push(chunk) {
      let from = 0;
      for (let at = 0; at < chunk.length; at++) {
        const byte = chunk[at];
        const endsCrLf = byte === LF && afterCr;
        afterCr = byte === CR;
        if (byte !== LF && byte !== CR) continue;
        append(chunk.subarray(from, at));
        from = at + 1;
        if (!endsCrLf) deliver(length);
      }
      append(chunk.subarray(from));
    },
    end() {
      if (length > 0) deliver(length);
    },
  };
}

/** Where to cut a full line that `next` follows: before the character that `next` continues, if it continues one. */
function cutBefore(line: Uint8Array, next: number | undefined): number {
  if (!isContinuation(next)) return line.length;
  for (let back = 1; back <= 3; back++) {
    if (!isContinuation(line[line.length - back])) return line.length - back;
  }
  return line.length;
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x80 && byte < 0xc0;
}
