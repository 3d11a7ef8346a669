import { expect, test } from 'vitest';
import { createTextScrubber } from '../../../src/security/scrub/text.ts';

/**
 * Samples by the definitions of what they are, not by anybody's rows: new ones each time they are made, the same in each
 * run of the tests.
 */
let state = 0x5eed;
function random(below: number): number {
  // A linear congruential generator, of which the upper bits are taken.
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}
const of = (letters: string, count: number): string =>
  Array.from({ length: count }, () => letters[random(letters.length)]).join('');
const base64 = (count: number): string => Buffer.from(of(LATIN, count), 'latin1').toString('base64');
const encoded = (text: string): string => Buffer.from(text).toString('base64url');
const uuid = (): string => [8, 4, 4, 4, 12].map((count) => of(HEX, count)).join('-');

const DIGITS = '0123456789';
const HEX = `${DIGITS}abcdef`;
const LOWER = `${DIGITS}abcdefghijklmnopqrstuvwxyz`;
const UPPER = LOWER.toUpperCase();
const ALNUM = `${LOWER}ABCDEFGHIJKLMNOPQRSTUVWXYZ`;
const WORD = `${ALNUM}_-`;
const LATIN = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('');

const CLEAN = (): string[] => [
  `commit ${of(HEX, 40)}`,
  `Merge: ${of(HEX, 7)} ${of(HEX, 7)}`,
  `* ${of(HEX, 9)} (HEAD -> main, tag: v1.2.3) Fix token refresh`,
  `index ${of(HEX, 7)}..${of(HEX, 7)} 100644`,
  `HEAD is now at ${of(HEX, 7)} Bump version`,
  `run id ${uuid()}`,
  `x-request-id: ${uuid()}`,
  `traceId=${of(HEX, 32)} spanId=${of(HEX, 16)}`,
  `traceparent: 00-${of(HEX, 32)}-${of(HEX, 16)}-01`,
  `sha256:${of(HEX, 64)}`,
  `"sha256": "${of(HEX, 64)}"`,
  `${of(HEX, 64)}  dist/app.tar.gz`,
  `${of(HEX, 32)}  file.iso`,
  `ETag: "${of(HEX, 32)}"`,
  `md5sum ${of(HEX, 32)}`,
  `"integrity": "sha512-${base64(64)}"`,
  `"resolved": "https://example.test/lodash/-/lodash-4.17.21.tgz",`,
  `integrity sha512-${base64(64)}`,
  `integrity="sha384-${base64(48)}"`,
  `lodash@4.17.21, react@19.0.0-rc-${of(HEX, 8)}-20241024`,
  `esbuild 0.25.4 → 0.25.5`,
  `node v24.21.0 npm 11.19.1`,
  `"version": "1.0.0-alpha.1+${of(HEX, 7)}"`,
  `2026-11-24T15:00:12.123456Z INFO started in 123 ms`,
  `Tue Nov 24 15:00:12 UTC 2026`,
  `[2026-11-24 15:00:12,123] WARN took 00:01:23.456`,
  `24/11/2026 15:00`,
  `1732460412 1732460412345 1732460412345678`,
  `dist/assets/index-${of(WORD, 8)}.js   143.21 kB │ gzip: 46.12 kB`,
  `webpack 5.98.0 compiled successfully in 1234 ms`,
  `asset main.${of(HEX, 20)}.js 1.2 MiB [emitted] [immutable] [minimized] (name: main)`,
  `src/index.ts(12,5): error TS2322: Type 'string' is not assignable to type 'number'.`,
  `src/auth/token.ts:120:9 - error TS2339: Property 'secretKey' does not exist on type 'Config'.`,
  ` ✓ src/auth/password-reset.test.ts (14 tests) 231ms`,
  ` FAIL  test/api-key.test.ts > rejects an expired token`,
  `Tests  1 failed | 993 passed (994)`,
  `AssertionError: expected 'token' to be 'secret'`,
  `   Compiling serde_json v1.0.140`,
  `warning: unused variable: \`api_key\` --> src/main.rs:12:9`,
  `error[E0425]: cannot find value \`secret\` in this scope`,
  `    Finished release [optimized] target(s) in 12.34s`,
  `#12 [build 3/7] COPY package.json package-lock.json ./`,
  `#15 exporting layers 0.4s done`,
  `=> [internal] load metadata for docker.io/library/node:24-alpine`,
  `Successfully built ${of(HEX, 12)}`,
  `Digest: sha256:${of(HEX, 64)}`,
  `CONTAINER ID ${of(HEX, 12)} Up 3 minutes 80->80/tcp`,
  `at Object.<anonymous> (/home/ann/app/node_modules/jsonwebtoken/verify.js:120:15)`,
  `    at async getAccessToken (file:///srv/app/src/auth/tokens.ts:88:17)`,
  `/usr/lib/x86_64-linux-gnu/libcrypto.so.3`,
  `C:\\Users\\ann\\AppData\\Local\\Temp\\key-store\\index.js`,
  `Order #1234567 shipped, invoice INV-2026-000123`,
  `order number 20261124001`,
  `ticket ABC-12345, PR #4567`,
  `batch 4294967296 of 9007199254740991`,
  `port 8080, pid 12345, uid 1000, exit 137`,
  `progress 1234567/7654321 (16%)`,
  `0x7ffeefbff5c8 0xdeadbeef`,
  `The key point is that tokens expire; keep your password manager close.`,
  `Please enter your password:`,
  `Password must have at least 12 characters, 1 number and 1 symbol.`,
  `The access token was refreshed for client web-frontend-v2.`,
  `export AWS_REGION=eu-central-1 AWS_PROFILE=production-readonly`,
  `API_URL=https://api.example.test/v2/items?page=2&limit=50`,
  `DATABASE_URL=postgres://localhost:5432/app_test`,
  `SECRET_NAME=production/web/session-secret`,
  `TOKEN_TTL=3600 KEY_ROTATION_DAYS=90 PASSWORD_MIN_LENGTH=12`,
  `password: \${DB_PASSWORD}`,
  `password: {{ .Values.db.password }}`,
  `token: <your-token-here>`,
  `Authorization: Bearer $TOKEN`,
  `api_key = os.environ["API_KEY"]`,
  `secret: process.env.SESSION_SECRET,`,
  `password=********`,
  `token=[REDACTED]`,
  `uses: actions/checkout@${of(HEX, 40)} # v4.2.2`,
  `key: linux-node-modules-${of(HEX, 64)}`,
  `cache-key: v1-${of(HEX, 40)}`,
  `Cache restored from key: node-${of(HEX, 64)}`,
  `restore-keys: npm-linux-`,
  `public key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${of(ALNUM, 43)}`,
  `fingerprint SHA256:${of(ALNUM, 43)}`,
  `kid=${of(WORD, 43)}`,
  `-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA${of(ALNUM, 43)}=\n-----END PUBLIC KEY-----`,
  `-----BEGIN CERTIFICATE-----\n${of(ALNUM, 64)}\n${of(ALNUM, 64)}\n-----END CERTIFICATE-----`,
  `go: downloading golang.org/x/crypto v0.36.0`,
  `h1:${base64(32)}`,
  `golang.org/x/crypto v0.36.0/go.mod h1:${base64(32)}`,
  `Collecting requests==2.32.3`,
  `  Downloading requests-2.32.3-py3-none-any.whl (64 kB)`,
  `+ terraform plan -out=plan.tfplan`,
  `aws_s3_bucket.logs: Refreshing state... [id=acme-logs-prod-eu]`,
  `Plan: 3 to add, 1 to change, 0 to destroy.`,
  `kubectl get pods -n kube-system`,
  `web-${of(HEX, 9)}-${of(LOWER, 5)}   1/1   Running   0   3d`,
  `arn:aws:iam::123456789012:role/deploy`,
  `i-0${of(HEX, 16)} t3.micro running`,
  `GET /api/v1/users/12345/tokens 200 12ms`,
  `POST /oauth/token 401 3ms - 45`,
  `GET /reset?step=2 302`,
  `user-agent: curl/8.11.0`,
  `Set size 1.5 GB, 12.3%, -4.5, +3, 1e-9, 1_000_000`,
  `lat 52.520008 lon 13.404954`,
  `3.14159265358979 2.718281828459045`,
  `ax run build --input target=web --json`,
  `RSA 4096 SHA-256 AES-256-GCM X25519`,
  `ISO 27001, RFC 8785, E.164, EN 301 549`,
  `ISBN 978-3-16-148410-0`,
  `ean 4006381333931`,
  `vat DE123456789`,
  `zip 10115 Berlin`,
  `#ff00aa #1a2b3c`,
  `chunk-${of(UPPER, 8)}.mjs`,
  `emoji 👍 ünïcödé 日本語`,
];

/** What is before it, what is removed, what is behind it. */
const SECRET = (): [before: string, secret: string, after?: string][] => [
  ['x ', `ghp_${of(ALNUM, 36)}`, ' y'],
  ['x ', `gho_${of(ALNUM, 36)}`, ' y'],
  ['x ', `github_pat_${of(ALNUM, 22)}_${of(ALNUM, 59)}`, ' y'],
  ['x ', `glpat-${of(WORD, 20)}`, ' y'],
  ['x ', `xoxb-${of(DIGITS, 12)}-${of(DIGITS, 12)}-${of(ALNUM, 24)}`, ' y'],
  ['x ', `xoxp-${of(DIGITS, 11)}-${of(DIGITS, 11)}-${of(DIGITS, 12)}-${of(HEX, 32)}`, ' y'],
  ['x ', `sk_live_${of(ALNUM, 24)}`, ' y'],
  ['x ', `rk_live_${of(ALNUM, 24)}`, ' y'],
  ['x ', `AKIA${of('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 16)}`, ' y'],
  ['x ', `AIza${of(WORD, 35)}`, ' y'],
  ['x ', `npm_${of(ALNUM, 36)}`, ' y'],
  ['x ', `pypi-AgEIcHlwaS5vcmc${of(WORD, 150)}`, ' y'],
  ['x ', `SG.${of(WORD, 22)}.${of(WORD, 43)}`, ' y'],
  ['x ', `hf_${of('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ', 34)}`, ' y'],
  ['x ', `dop_v1_${of(HEX, 64)}`, ' y'],
  ['x ', `sk-ant-api03-${of(WORD, 93)}AA`, ' y'],
  ['x ', `glsa_${of(ALNUM, 32)}_${of(HEX, 8)}`, ' y'],
  ['x ', `hvs.${of(WORD, 95)}`, ' y'],
  ['x ', `dckr_pat_${of(WORD, 27)}`, ' y'],
  ['x ', `sntryu_${of(HEX, 64)}`, ' y'],
  ['x ', `shpat_${of(HEX, 32)}`, ' y'],
  ['x ', `ATATT3${of(WORD, 186)}`, ' y'],
  ['x ', `AGE-SECRET-KEY-1${of('QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L', 58)}`, ' y'],
  ['x ', `rubygems_${of(HEX, 48)}`, ' y'],
  ['x ', `pul-${of(HEX, 40)}`, ' y'],
  ['x ', `dapi${of(HEX, 32)}`, ' y'],
  ['x ', `sk-proj-${of(WORD, 74)}T3BlbkFJ${of(WORD, 74)}`, ' y'],
  ['x ', `lin_api_${of(ALNUM, 40)}`, ' y'],
  ['x ', `ya29.${of(WORD, 60)}`, ' y'],
  ['x ', `PMAK-${of(HEX, 24)}-${of(HEX, 34)}`, ' y'],
  ['x ', `EAAC${of(ALNUM, 120)}`, ' y'],
  [
    'x ',
    [encoded('{"alg":"HS256","typ":"JWT"}'), encoded(`{"sub":"${of(LOWER, 8)}"}`), of(WORD, 43)].join('.'),
    ' y',
  ],
  ['DB_PASSWORD=', `${of(ALNUM, 16)}7`],
  ['password: ', `${of(LOWER, 10)}9x`],
  ['api_key = "', of(ALNUM, 32)],
  ['"clientSecret": "', of(WORD, 40)],
  ['SECRET_KEY_BASE=', of(HEX, 128)],
  ['aws_secret_access_key = ', of(`${ALNUM}/+`, 40)],
  ['AWS_SECRET_ACCESS_KEY=', of(`${ALNUM}/+`, 40)],
  ["auth_token: '", of(ALNUM, 40)],
  ['accessToken: "', of(WORD, 48)],
  ['encryption_key=', base64(32)],
  ['X-Api-Key: ', of(ALNUM, 32)],
  ['session_secret=', of(WORD, 44)],
  ['private_key = ', of(HEX, 64)],
  ['MYSQL_PWD=', `${of(ALNUM, 14)}3`],
  ['_authToken=', of(ALNUM, 36)],
  ['bearer_token=', of(ALNUM, 40)],
  ['CLIENT_SECRET=', of(WORD, 40)],
  ['ACCOUNT_KEY=', base64(64)],
  ['passphrase: ', `${of(ALNUM, 18)}1`],
  ['token=', uuid()],
  ['secret="', of(HEX, 40)],
  ['Authorization: Basic ', Buffer.from(`ann:${of(ALNUM, 12)}`).toString('base64')],
  ['authorization: Bearer ', of(WORD, 40)],
  ['Authorization: token ', of(HEX, 40)],
  ['Proxy-Authorization: Basic ', Buffer.from(`u:${of(ALNUM, 9)}`).toString('base64')],
  ['Cookie: session=', of(ALNUM, 32)],
  ['Set-Cookie: sid=', of(ALNUM, 32)],
  ['postgres://app:', of(ALNUM, 14), '@db.example.test/app'],
  ['https://ann:', of(ALNUM, 14), '@git.example.test/x.git'],
  ['https://', of(ALNUM, 40), '@git.example.test/x.git'],
  ['redis://:', of(ALNUM, 20), '@cache:6379'],
  ['curl -u ann:', of(ALNUM, 12), ' https://x.test'],
  ['amqp://guest2:', of(ALNUM, 10), '@mq'],
  ['mail ', 'ann.lee@corp.example'],
  ['<', 'b+c@sub.example.co.uk', '>'],
  ['call ', '+49 30 12345678'],
  ['tel: ', '+1-415-555-2671'],
  ['', '(415) 555-2671'],
  ['phone ', '0171 2345678'],
  ['', 'GB82 WEST 1234 5698 7654 32'],
  ['IBAN ', 'DE89370400440532013000'],
  ['', '4111 1111 1111 1111'],
  ['card=', '5555555555554444'],
  ['amex ', '3782 822463 10005'],
  ['ssn ', '536-90-4399'],
  ['from ', '203.0.113.77'],
  ['peer ', '2001:db8:85a3::8a2e:370:7334'],
  ['ip=', '10.12.13.14', ' ok'],
  ['[', '::ffff:192.0.2.1', ']:80'],
];

const scrub = createTextScrubber({ secrets: [], credentials: true, personal: true, addresses: true });
const ROUNDS = 10;

test('what tools print is as it was', () => {
  const samples = Array.from({ length: ROUNDS }, CLEAN).flat();
  expect(samples.filter((text) => scrub(text) !== text)).toEqual([]);
});

test('of credentials and personal data, 99 % are removed', () => {
  const samples = Array.from({ length: ROUNDS }, SECRET).flat();
  const left = samples.filter(([before, secret, after = '']) =>
    scrub(before + secret + after).includes(secret),
  );
  expect(left.length / samples.length, left.join('\n')).toBeLessThan(0.01);
});
