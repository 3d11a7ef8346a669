import { describe, expect, test } from 'vitest';
import { createScrubber } from '../../../src/security/scrub/stream.ts';
import { createTextScrubber } from '../../../src/security/scrub/text.ts';

const policy = { secrets: [], credentials: true, personal: false };
const scrub = createTextScrubber(policy);
const GONE = '[credential:kubernetes-secret]';

const MANIFEST = `apiVersion: v1
kind: Secret
metadata:
  name: db
  ownerReferences:
    - kind: Deployment
      name: web
type: Opaque
data:
  # base64 of it
  password: aHVudGVyMjIy
  "user": 'cm9vdHJvb3Q='
stringData:
  pin: 1234
  note: |
    first line
      second: line
  empty: ""
  filled: {{ .Values.password }}
---
apiVersion: v1
kind: ConfigMap
data:
  mode: production-like
`;
const SCRUBBED = `apiVersion: v1
kind: Secret
metadata:
  name: db
  ownerReferences:
    - kind: Deployment
      name: web
type: Opaque
data:
  # base64 of it
  password: ${GONE}
  "user": '${GONE}'
stringData:
  pin: ${GONE}
  note: |
    ${GONE}
      ${GONE}
  empty: ""
  filled: {{ .Values.password }}
---
apiVersion: v1
kind: ConfigMap
data:
  mode: production-like
`;
/** As kubectl prints it: keys in the order of the alphabet. */
const PRINTED = `apiVersion: v1
items:
- apiVersion: v1
  data:
    password: aHVudGVyMjIy
  kind: Secret
  metadata:
    name: db
- apiVersion: v1
  data:
    mode: production-like
  kind: ConfigMap
`;

describe('the values of a Secret of Kubernetes', () => {
  test('are removed from its manifest, and nothing else is', () => {
    expect(scrub(MANIFEST)).toBe(SCRUBBED);
  });

  test('are removed where its kind comes behind them', () => {
    expect(scrub(PRINTED)).toBe(PRINTED.replace('aHVudGVyMjIy', GONE));
  });

  test('are removed from JSON, in lines, in one line and as a text in JSON', () => {
    const secret = {
      apiVersion: 'v1',
      data: { password: 'aHVudGVyMjIy', user: 'cm9vdHJvb3Q=' },
      kind: 'Secret',
      metadata: { name: 'db', labels: { data: 'kept-as-it-is' } },
    };
    const map = { apiVersion: 'v1', data: { mode: 'production-like' }, kind: 'ConfigMap' };
    const kindFirst = {
      kind: 'Secret',
      apiVersion: 'v1',
      metadata: secret.metadata,
      stringData: { a: 'x y "z"' },
    };
    for (const value of [secret, [map, secret, map], { applied: JSON.stringify(secret) }]) {
      for (const indent of [0, 2]) {
        const text = JSON.stringify(value, null, indent);
        expect(scrub(text)).toBe(text.replace('aHVudGVyMjIy', GONE).replace('cm9vdHJvb3Q=', GONE));
      }
    }
    expect(JSON.parse(scrub(JSON.stringify(kindFirst)))).toEqual({ ...kindFirst, stringData: { a: GONE } });
  });

  test('are removed however the stream is cut, and however the lines come', () => {
    for (const [input, expected] of [
      [MANIFEST, SCRUBBED],
      [PRINTED, PRINTED.replace('aHVudGVyMjIy', GONE)],
    ] as const) {
      for (let size = 1; size < 80; size++) {
        const scrubber = createScrubber(policy);
        let out = '';
        for (let at = 0; at < input.length; at += size)
          out += scrubber.push(Buffer.from(input.slice(at, at + size)));
        expect(out + scrubber.end()).toBe(expected);
      }
    }
  });

  test('are removed from one that is longer than what is held back, as far as that goes', () => {
    const long = `kind: Secret\ndata:\n${`  key: ${'aHVudGVyMjIy'.repeat(80)}\n`.repeat(200)}`;
    const scrubber = createScrubber(policy);
    let out = '';
    for (let at = 0; at < long.length; at += 1000)
      out += scrubber.push(Buffer.from(long.slice(at, at + 1000)));
    out += scrubber.end();
    expect(out.slice(0, 2000)).not.toContain('aHVudGVyMjIy');
    expect(out.split(GONE).length - 1).toBeGreaterThan(60);
  });

  test.each([
    'kind: SecretStore\ndata:\n  key: aHVudGVyMjIy\n',
    'kind: Secret\nmetadata:\n  name: aHVudGVyMjIy\n',
    'kind: Secret\ndata:\n  short: YmFyCg==\n',
    'apiVersion: v1\ndata:\n  short: aHVudGVyMjIy\nkind: ConfigMap\n',
    'apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nspec:\n  target:\n    kind: Secret\n  data:\n    - key: aHVudGVyMjIy\n',
    'data:\n  key: aHVudGVyMjIy\n',
    '{"kind":"secretly","data":{"key":"aHVudGVyMjIy"}}',
  ])('and not from %j', (text) => {
    expect(scrub(text)).toBe(text);
  });
});
