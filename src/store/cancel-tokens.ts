import { encodeBase64url } from '../security/base64.ts';
import { sha256Hex } from '../security/digest.ts';
import type { Database } from './database.ts';

/** What a confirmation is bound to. */
export interface TokenBinding {
  readonly runId: string;
  /** The uid that asked, as the operating system has it. */
  readonly requester: number;
}

/** Makes a single-use token; the store keeps its hash alone. Inside `database.write`. */
export function issueToken(
  database: Database,
  binding: TokenBinding & { expiresAt: number; now: number; randomBytes: (count: number) => Uint8Array },
): string {
  const token = encodeBase64url(binding.randomBytes(32));
  database.prepare('DELETE FROM cancel_tokens WHERE expires_at < ?').run(binding.now);
  database
    .prepare('INSERT INTO cancel_tokens (token_sha256, run_id, requester, expires_at) VALUES (?, ?, ?, ?)')
    .run(sha256Hex(token), binding.runId, binding.requester, binding.expiresAt);
  return token;
}

/**
 * Uses a token up; false when it is unknown, expired, used before, or of another run or requester. Inside
 * `database.write`, so of two processes that bring the same token one has used it.
 */
export function redeemToken(
  database: Database,
  token: string,
  binding: TokenBinding & { now: number },
): boolean {
  const { changes } = database
    .prepare(
      `UPDATE cancel_tokens SET used_at = ?1
       WHERE token_sha256 = ?2 AND run_id = ?3 AND requester = ?4 AND used_at IS NULL AND expires_at >= ?1`,
    )
    .run(binding.now, sha256Hex(token), binding.runId, binding.requester);
  return changes === 1;
}

/** Takes back what was given for a run: none of it holds for the session that begins. Inside `database.write`. */
export function dropTokens(database: Database, runId: string): void {
  database.prepare('DELETE FROM cancel_tokens WHERE run_id = ?').run(runId);
}
