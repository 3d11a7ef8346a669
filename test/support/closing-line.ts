import type { Reporter, TestModule } from 'vitest/node';

/** Ends a test run with one line that a person or a CI can read without knowing vitest. */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const counts = { passed: 0, failed: unhandled.length, skipped: 0 };
    for (const module of modules) {
      counts.failed += module.errors().length;
      for (const test of module.children.allTests()) {
        const state = test.result().state;
        if (state !== 'pending') counts[state] += 1;
      }
    }
    const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
    process.once('exit', () => {
      console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`);
    });
  }
}
