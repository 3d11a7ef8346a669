/**
 * What the CEL library expects of its surroundings and QuickJS has not. Runs in the interpreter, before the library
 * is loaded.
 */

declare global {
  /** Handed in by the host (zone-clock.ts). */
  var zoneClock: (zone: string, instant: number) => number;
}

class Utf8Encoder {
  encode(text: string): Uint8Array {
    // One character for each byte of the UTF-8 form.
    return Uint8Array.from(unescape(encodeURIComponent(text.toWellFormed())), (unit) => unit.charCodeAt(0));
  }
}

class Utf8Decoder {
  /** Strict, as the library asks for. */
  decode(bytes: Uint8Array): string {
    let units = '';
    for (const byte of bytes) units += String.fromCharCode(byte);
    return decodeURIComponent(escape(units));
  }
}

/** The one use that the library makes of Intl: the parts of an instant on a zone's wall clock. */
class ZoneFormat {
  readonly #zone: string;

  constructor(_locale: string, options: { readonly timeZone: string }) {
    this.#zone = options.timeZone;
  }

  formatToParts(instant: Date): { type: string; value: string }[] {
    const wall = new Date(zoneClock(this.#zone, instant.getTime()));
    if (Number.isNaN(wall.getTime())) throw new RangeError('unknown time zone');
    const parts = {
      year: wall.getUTCFullYear(),
      month: wall.getUTCMonth() + 1,
      day: wall.getUTCDate(),
      hour: wall.getUTCHours(),
      minute: wall.getUTCMinutes(),
      second: wall.getUTCSeconds(),
    };
    return Object.entries(parts).map(([type, value]) => ({ type, value: String(value) }));
  }
}

Object.assign(globalThis, {
  TextEncoder: Utf8Encoder,
  TextDecoder: Utf8Decoder,
  Intl: { DateTimeFormat: ZoneFormat },
});
