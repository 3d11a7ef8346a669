import { describe, expect, it } from 'vitest';
import { type HoldRequest, hold } from '../../src/runtime/hold.ts';
import { testContext } from '../support/context.ts';

const NEVER = new Promise<never>(() => {});

function held(name: string, changes: Partial<HoldRequest> & { clock?: { wall: number; monotonic: number } }) {
  const clock = changes.clock ?? { wall: 0, monotonic: 0 };
  const context = testContext(name, { now: () => clock.wall, monotonic: () => clock.monotonic });
  return hold(context, { until: 1e12, deadline: Infinity, others: NEVER, stopped: NEVER, ...changes });
}

describe('a deferred task is held', () => {
  it('until it is time to ask again, by the wall clock', async () => {
    expect(await held('again', { until: 5, clock: { wall: 5, monotonic: 0 } })).toBe('again');
  });

  it('no longer than the user waits, by the monotonic clock, whatever the wall clock does', async () => {
    expect(await held('over', { deadline: 10, clock: { wall: -1e12, monotonic: 10 } })).toBe('again');
  });

  it('until it is canceled, even with all the time there is', async () => {
    expect(await held('stopped', { stopped: Promise.resolve() })).toBe('stopped');
  });

  it.each(['alone', 'never'] as const)('until the others come to "%s"', async (word) => {
    expect(await held(word, { others: Promise.resolve(word) })).toBe(word);
  });
});
