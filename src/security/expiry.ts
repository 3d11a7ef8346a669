/**
 * The last moment of a key. In a JWK it is `exp`, as OpenID Federation 1.0 section 8.7 has it for keys: a NumericDate,
 * seconds since the epoch.
 */

/** What may have a last moment. */
export interface Expiring {
  /** Milliseconds since the epoch; undefined where no end is known. */
  readonly expiresAt?: number | undefined;
}

/** The end of the year 9999, after which RFC 3339 cannot write a time. */
const MAX_SECONDS = 253_402_300_799;

/** True from the moment of the expiry on; false where there is none. */
export function isExpired<T extends Expiring>(
  key: T,
  now: number,
): key is T & { readonly expiresAt: number } {
  // Asked the safe way round: a clock that is no number makes a key expired.
  return key.expiresAt !== undefined && !(now < key.expiresAt);
}

/** The refusal's words for an expired key. */
export function describeExpiry({ expiresAt }: { readonly expiresAt: number }): string {
  return `expired at ${new Date(expiresAt).toISOString()}`;
}

/** Milliseconds since the epoch; undefined for anything but a whole number of seconds up to the year 9999. */
export function parseNumericDate(value: unknown): number | undefined {
  if (typeof value !== 'number' || !Number.isInteger(value)) return undefined;
  return value >= 0 && value <= MAX_SECONDS ? value * 1000 : undefined;
}

/** Whole seconds, rounded down: an expiry that is passed on never comes later than it does here. */
export function toNumericDate(ms: number): number {
  return Math.floor(ms / 1000);
}
