import { AxError } from '../../errors.ts';
import type { Task } from '../../manifest/schema.ts';
import { sha256Canonical } from '../../security/canonical.ts';

/**
 * Everything that guards see: JSON and nothing else, gathered once per phase and frozen. All times are
 * milliseconds since the epoch. What could not be found out is null, never a guess.
 */
export interface GuardSnapshot {
  readonly now: number;
  /** Guards are asked twice, the second time right before the spawn. */
  readonly phase: 'check' | 'spawn';
  readonly run: { readonly id: string; readonly attempt: number };
  readonly project: {
    readonly name: string;
    readonly manifestDigest: string;
    readonly manifestVersion: number;
    /** The kids of the trusted keys whose signatures of the manifest were counted. */
    readonly signers: readonly string[];
  };
  readonly task: {
    readonly name: string;
    /** Empty when the manifest has none; the description likewise. */
    readonly title: string;
    readonly description: string;
    readonly argv: readonly string[];
    readonly needs: readonly string[];
    readonly metadata: NonNullable<Task['metadata']>;
  };
  readonly inputs: Readonly<Record<string, string>>;
  /** Who the operating system says is running ax. */
  readonly actor: { readonly uid: number; readonly name: string };
  /** Only variables that a guard names, and only those that are set. */
  readonly env: Readonly<Record<string, string>>;
  /** Null outside a git checkout, and where there is a problem. */
  readonly git: GitFacts | null;
  /** Why git could not say, in words that follow "expected …; ". Null when it did, and outside a checkout. */
  readonly gitProblem: string | null;
  /** The keys that this run relies on. */
  readonly keys: readonly SnapshotKey[];
  /** Verified before they got here, and for exactly this project, manifest, task and inputs. */
  readonly approvals: readonly SnapshotApproval[];
  readonly usage: {
    /** When earlier attempts of this task really started, in any order. */
    readonly starts: readonly number[];
    /** Attempts of this task that are executing now, this one not among them. */
    readonly running: number;
  };
  /** Filled in for moderation that compares. */
  readonly recent: readonly RecentRun[];
  /** How many recent runs there are beside these, whose texts cannot be read here. */
  readonly unreadable: number;
  readonly dependencies: readonly DependencyResult[];
  /** For every task in `task.needs`: whether it is done. */
  readonly needs: Readonly<Record<string, boolean>>;
}

export interface GitFacts {
  /** Null on a detached HEAD. */
  readonly branch: string | null;
  /** Null before the first commit. */
  readonly commit: string | null;
  /** False when a tracked file changed or an untracked one is there. */
  readonly clean: boolean;
}

export interface SnapshotKey {
  readonly kid: string;
  readonly role: string;
  readonly createdAt: number;
}

export interface SnapshotApproval {
  readonly kid: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** The key also signed the manifest that is approved. */
  readonly author: boolean;
}

export interface RecentRun {
  readonly runId: string;
  readonly title: string;
  readonly description: string;
  readonly inputs: Readonly<Record<string, string>>;
  readonly at: number;
}

export interface DependencyResult {
  readonly path: string;
  /** The digest is the signed one. */
  readonly ok: boolean;
  /** What is wrong; null when `ok`. */
  readonly problem: string | null;
}

/**
 * Freezes a value and all that it holds, in place, and returns it: no guard can change what the next one sees.
 *
 * @throws INTERNAL for what freezing does not hold still or JSON does not show: accessors, symbols, functions, and containers other than arrays and plain
 * objects (the content of a frozen Map or Date still changes).
 */
export function deepFreeze<T>(value: T): T {
  // A list instead of recursion: what arrives may be nested deeper than the stack. An object that is frozen
  // already is still walked, since freezing is shallow.
  const seen = new Set<object>();
  const open: unknown[] = [value];
  while (open.length > 0) {
    const next = open.pop();
    if (typeof next === 'function') refuse('a function');
    if (typeof next !== 'object' || next === null || seen.has(next)) continue;
    seen.add(next);
    if (!isPlain(next)) refuse('an object that is not plain');
    for (const key of Reflect.ownKeys(next)) {
      const property = Object.getOwnPropertyDescriptor(next, key);
      if (typeof key === 'symbol' || property?.get !== undefined || property?.set !== undefined) {
        refuse('a symbol or an accessor');
      }
      open.push(property?.value);
    }
    Object.freeze(next);
  }
  return value;
}

/** Lower-case hex SHA-256 over the canonical JSON (RFC 8785). @throws INTERNAL for anything that is not JSON. */
export function snapshotDigest(snapshot: GuardSnapshot): string {
  return sha256Canonical(snapshot);
}

function isPlain(object: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(object);
  return Array.isArray(object) || prototype === null || prototype === Object.prototype;
}

function refuse(found: string): never {
  throw new AxError('INTERNAL', `guard snapshot: expected plain data, found ${found}`, {
    hint: 'this is a defect in ax; please report it',
  });
}
