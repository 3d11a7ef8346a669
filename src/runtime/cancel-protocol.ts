import { createHmac } from 'node:crypto';
import * as z from 'zod/mini';
import { decodeBase64url, encodeBase64url } from '../security/base64.ts';
import { canonicalJson } from '../security/canonical.ts';
import { equalBytes } from '../security/digest.ts';
import { parseJson } from '../security/json.ts';
import { isUlid } from '../security/ulid.ts';

/** What `ax cancel` and a supervisor say to each other. */

/** 32 bytes in base64url. */
const TOKEN = /^[A-Za-z0-9_-]{43}$/;

/** Whether this is what a token looks like; whether it holds, its run's supervisor knows. */
export function isTokenShaped(text: string): boolean {
  return TOKEN.test(text);
}

const messageSchema = z.strictObject({
  runId: z.string().check(z.refine(isUlid)),
  token: z.nullable(z.string().check(z.regex(TOKEN))),
  at: z.int(),
  mac: z.string(),
});

export type CancelMessage = z.infer<typeof messageSchema>;

const replySchema = z.union([
  z.strictObject({ outcome: z.literal('canceled') }),
  z.strictObject({ outcome: z.literal('confirmation-required'), token: z.string(), expiresAt: z.int() }),
  z.strictObject({ outcome: z.literal('token-invalid') }),
  z.strictObject({ outcome: z.literal('rate-limited'), retryAfterSeconds: z.int().check(z.positive()) }),
  z.strictObject({ outcome: z.literal('not-running') }),
]);

export type CancelReply = z.infer<typeof replySchema>;

/** How old a message may be, either way (spec: formats, "Events"). */
const WINDOW_MS = 30_000;

/**
 * A cancel request under the run's session key, which only who can read the store knows. It does not say whose
 * it is: that is what the operating system says, not the message.
 */
export function encodeCancel(request: Omit<CancelMessage, 'mac'>, sessionKey: Uint8Array): string {
  return JSON.stringify({ ...request, mac: encodeBase64url(mac(request, sessionKey)) });
}

/** The message, when it is well formed; whether it is authentic is yet to be seen. */
export function parseCancel(line: string): CancelMessage | null {
  try {
    const result = messageSchema.safeParse(parseJson(line, 'cancel request'));
    return result.success ? result.data : null;
  } catch {
    return null;
  }
}

/** True when the message was made with this session key within the last 30 s. */
export function isAuthentic(message: CancelMessage, sessionKey: Uint8Array, now: number): boolean {
  const { mac: claimed, ...content } = message;
  const bytes = decodeBase64url(claimed);
  return (
    bytes !== undefined &&
    equalBytes(bytes, mac(content, sessionKey)) &&
    Math.abs(now - message.at) <= WINDOW_MS
  );
}

/** @returns null for an answer that no supervisor gives */
export function parseReply(line: string): CancelReply | null {
  try {
    const result = replySchema.safeParse(parseJson(line, 'cancel answer'));
    return result.success ? result.data : null;
  } catch {
    return null;
  }
}

function mac(content: Omit<CancelMessage, 'mac'>, sessionKey: Uint8Array): Buffer {
  // The label keeps a MAC over a message from ever being one over an event.
  return createHmac('sha256', sessionKey).update('ax-cancel-v1\n').update(canonicalJson(content)).digest();
}
