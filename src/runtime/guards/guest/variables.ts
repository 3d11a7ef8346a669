import { type Timestamp, timestampFromMs } from '@bufbuild/protobuf/wkt';

/** A value as the CEL library takes it. */
type Input = null | boolean | bigint | number | string | Timestamp | Input[] | Map<string, Input>;

/**
 * The variables of an expression: each member of the snapshot, `now` as a timestamp. Has no prototype, and nor has
 * anything in it that is looked up by name: `constructor` is a name like any other. Runs in the interpreter.
 */
export function variablesOf(snapshotText: string): Record<string, Input> {
  const variables: Record<string, Input> = Object.create(null);
  for (const [name, value] of Object.entries(JSON.parse(snapshotText) as object)) {
    variables[name] = name === 'now' ? timestampFromMs(value) : toInput(value);
  }
  return variables;
}

/** JSON has one kind of number; CEL adds and compares whole ones as int. */
function toInput(value: unknown): Input {
  if (Array.isArray(value)) return value.map(toInput);
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value === 'object' && value !== null) {
    return new Map(Object.entries(value).map(([name, member]) => [name, toInput(member)]));
  }
  return value as null | boolean | string;
}
