/**
 * How far the clocks of two machines may be apart (the same 30 s as for events). What claims to be from further
 * in the future is not believed: it would stay young for too long.
 */
export const CLOCK_SKEW_MS = 30_000;
