/**
 * The one error type that reaches a user, and the table from its permanent code to an exit status
 * (docs/exit-codes.md; statuses follow sysexits.h).
 */

const EXIT = {
  USAGE: 64,
  ID_AMBIGUOUS: 64,

  YAML_MALFORMED: 65,
  JSON_MALFORMED: 65,
  MANIFEST_INVALID: 65,
  ENVELOPE_MALFORMED: 65,
  INPUT_INVALID: 65,
  IMPORT_INVALID: 65,
  EXPORT_IMPOSSIBLE: 65,

  LOCK_MISSING: 66,
  MANIFEST_MISSING: 66,
  TASK_UNKNOWN: 66,
  RUN_UNKNOWN: 66,
  RUN_NOT_RUNNING: 66,
  RECEIPT_UNKNOWN: 66,
  RECEIPT_PRUNED: 66,
  KEY_UNKNOWN: 66,
  PROJECT_UNKNOWN: 66,

  RUNTIME_TOO_OLD: 69,
  EXECUTABLE_MISSING: 69,
  SUPERVISOR_UNREACHABLE: 69,
  SUPERVISOR_LOST: 69,
  ISOLATE_FAILED: 69,
  AGENT_UNAVAILABLE: 69,

  INTERNAL: 70,

  IO: 74,
  STORE_UNUSABLE: 74,
  STORE_FULL: 74,

  RATE_LIMITED: 75,
  GUARD_DEFERRED: 75,
  STORE_BUSY: 75,

  DEPENDENCY_CHANGED: 76,
  RECEIPT_TAMPERED: 76,
  RECEIPT_MISSING: 76,
  AUDIT_TAMPERED: 76,

  SIGNATURE_INVALID: 77,
  SIGNATURE_UNTRUSTED: 77,
  PAYLOAD_TYPE_UNEXPECTED: 77,
  PROJECT_MISMATCH: 77,
  MANIFEST_EXPIRED: 77,
  MANIFEST_NOT_YET_VALID: 77,
  MANIFEST_ROLLED_BACK: 77,
  RUN_NOT_RETRYABLE: 77,
  CONFIRMATION_REQUIRED: 77,
  CANCEL_CONFIRMATION_REQUIRED: 77,
  CANCEL_TOKEN_INVALID: 77,
  EVENT_REJECTED: 77,
  GUARD_BLOCKED: 77,
  GUARD_VERDICT_INVALID: 77,
  TRUST_REFUSED: 77,
  APPROVAL_REFUSED: 77,
  KEY_REVOKED: 77,
  KEY_IN_USE: 77,
  KEY_EXPIRED: 77,

  KEY_MALFORMED: 78,
  KEY_PERMISSIONS: 78,
  KEYRING_LOCKED: 78,
  PASSPHRASE_WRONG: 78,
  TRUST_MALFORMED: 78,
  ENVIRONMENT_MALFORMED: 78,
  SETTING_INVALID: 78,
  SECRET_MISSING: 78,

  TIMED_OUT: 124,
  CANCELED: 130,
} as const;

/** A permanent, public error code. Codes are added, never renamed or reused. */
export type ErrorCode = keyof typeof EXIT;

/** The exit status that belongs to a code. */
export function exitCodeOf(code: ErrorCode): number {
  return EXIT[code];
}

export interface ErrorDetails {
  /** The next command to type, or the next thing to do; one line. */
  hint?: string | undefined;
  cause?: unknown;
  /** For RATE_LIMITED and other codes with status 75: whole seconds until it is worth trying again. */
  retryAfterSeconds?: number;
}

/**
 * A refusal or failure that ax explains to its user. The message says what was expected and what was
 * found, and never contains a secret.
 */
export class AxError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'AxError';
    this.code = code;
    this.hint = details.hint;
    this.retryAfterSeconds = details.retryAfterSeconds;
  }

  get exitCode(): number {
    return EXIT[this.code];
  }
}

/** True for an error with this code; for callers that treat one refusal as data. */
export function isAxError(error: unknown, code?: ErrorCode): error is AxError {
  return error instanceof AxError && (code === undefined || error.code === code);
}
