import type { HostFunction, QuickJS } from 'quickjs-wasi';
import { wallTime } from './wall-clock.ts';

/**
 * What a wall clock shows in a time zone: the one thing that CEL needs (`now.getHours('Europe/Berlin')`) and
 * QuickJS has not. A pure function of two arguments; nothing else is handed in.
 */
export const ZONE_CLOCK = 'zoneClock';

/** The first look at a zone takes a millisecond or more, and an expression may make up many names. */
const MAX_ZONES = 16;
const MAX_ZONE_LENGTH = 64;

/**
 * A function for an interpreter: from a zone's name and an instant to the wall time, both in milliseconds. NaN for a
 * zone or an instant that does not exist, and for one zone too many.
 */
export function createZoneClock(vm: QuickJS): HostFunction {
  const zones = new Set<string>();
  return (zone, instant) => {
    if (zone?.isString !== true || instant?.isNumber !== true) return vm.newNumber(Number.NaN);
    const name = zone.toString();
    if (name.length <= MAX_ZONE_LENGTH && zones.size < MAX_ZONES) zones.add(name);
    return vm.newNumber(zones.has(name) ? wallTimeOrNaN(name, instant.toNumber()) : Number.NaN);
  };
}

function wallTimeOrNaN(zone: string, instant: number): number {
  try {
    return wallTime(zone, instant);
  } catch {
    return Number.NaN;
  }
}
