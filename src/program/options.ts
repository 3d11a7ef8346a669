import { InvalidArgumentError, Option } from 'commander';

/** Options that several commands have, and what reads their values. */

export function globalOptions(): Option[] {
  return [
    new Option('--json', 'print JSON on stdout, and nothing else there'),
    new Option('--store <dir>', 'where receipts, runs and the audit log are (default: .ax beside ax.yaml)'),
    new Option('--home <dir>', 'where keys and trust are (default: the XDG folders)'),
    new Option('--no-color', 'print no colour'),
    new Option('--verbose', 'say more on stderr'),
  ];
}

export function inputOption(): Option {
  return new Option(
    '-i, --input <name=value>',
    'a value for a parameter of the tasks; may be given again',
  ).argParser(several);
}

export function approvalOption(): Option {
  return new Option('--approval <file>', 'an approval that `ax approve` made; may be given again').argParser(
    several,
  );
}

export function waitOption(): Option {
  return new Option(
    '--wait [duration]',
    'wait while guards defer, for as long as it takes or for --wait=10m, instead of exiting with 75',
  );
}

export function quietOption(): Option {
  return new Option('-q, --quiet', 'print the tasks’ output alone, without prefixes');
}

/** For an option that may be given again: every value, in order. */
export function several(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value];
}

/** For an option that takes a whole number. */
export function count(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^[0-9]+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`expected a whole number from ${min} to ${max}`);
  };
}
