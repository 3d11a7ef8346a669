import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { boundMemory } from '../../../src/runtime/guards/wasm-memory.ts';

const MIB = 1024 * 1024;
const ENGINE = readFileSync(new URL(import.meta.resolve('quickjs-wasi/quickjs.wasm')));

/** A module of one memory, exported as "m". */
function moduleWith(memory: readonly number[]): Uint8Array<ArrayBuffer> {
  const section = [5, memory.length, ...memory];
  return Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...section, 7, 5, 1, 1, 0x6d, 2, 0]);
}

describe('boundMemory', () => {
  it('leaves a module that grows to its bound and not a page further', () => {
    const bounded = Buffer.from(boundMemory(moduleWith([1, 0, 2]), 2 * MIB)).toString('base64');
    // WebAssembly is run in a process of its own, here as in ax.
    const grow = `
      const module = new WebAssembly.Module(Buffer.from('${bounded}', 'base64'));
      const { m } = new WebAssembly.Instance(module, {}).exports;
      let error;
      const before = m.grow(30);
      try { m.grow(1); } catch ({ name }) { error = name; }
      console.log(JSON.stringify({ before, error }));`;
    const output = execFileSync(process.execPath, ['--eval', grow]);
    expect(JSON.parse(output.toString())).toEqual({ before: 2, error: 'RangeError' });
  });

  it('bounds the engine, and changes nothing else in it', () => {
    const bounded = Buffer.from(boundMemory(ENGINE, 32 * MIB));
    const same = ENGINE.findIndex((byte, at) => bounded[at] !== byte);
    // From somewhere behind the section, both are the same.
    const rest = ENGINE.subarray(same + 16);
    expect(bounded.subarray(bounded.length - rest.length).equals(rest)).toBe(true);
    expect(Math.abs(bounded.length - ENGINE.length)).toBeLessThan(4);
  });

  it.each([
    ['no module', Uint8Array.of(1, 2, 3)],
    ['no memory', moduleWith([1, 0, 2]).subarray(0, 8)],
    ['a bound of its own', moduleWith([1, 1, 2, 3])],
    ['two memories', moduleWith([2, 0, 2, 0, 2])],
    ['a cut number', moduleWith([1, 0, 0x80]).subarray(0, 13)],
  ])('refuses %s', (_name, wasm) => {
    expect(() => boundMemory(wasm, MIB)).toThrow(/one unbounded memory/);
  });
});
