/**
 * What the store remembers of the past for guards and limits. No window of a manifest may ask for more
 * (src/manifest/guards/fields.ts), so none counts less than there was.
 */

/** How long uses of limits, starts and submissions are kept, in milliseconds: 25 days. */
export const HORIZON_MS = 25 * 24 * 60 * 60 * 1000;

/** The most starts of a task that are looked at, the newest; and the most that a guard may allow. */
export const MAX_STARTS = 10_000;
