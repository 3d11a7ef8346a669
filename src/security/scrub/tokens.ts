/**
 * Credentials that say themselves what they are: a prefix of their issuer's, an alphabet, a length. The definitions
 * are those of the rules that gitleaks keeps; its rule tests check them.
 */

import { table } from './assignment.ts';
import { anyOf, following } from './following.ts';
import { firstOf, type Matcher, notBefore, sequenceMatcher } from './matcher.ts';

export interface TokenRule {
  /** What the marker says. */
  readonly name: string;
  /** Lower case; each match begins with one of them. */
  readonly keywords: readonly string[];
  /** What a match is, from the keyword on. */
  readonly match: Matcher;
  /** Bits a character, at least: `ghp_xxxx…` is nobody's token. */
  readonly entropy: number;
  /** What it cannot follow. */
  readonly notAfter: Uint8Array | undefined;
  /** What the keyword is followed by. */
  readonly next: (keyword: string) => Uint8Array;
  readonly check?: ((text: string) => boolean) | undefined;
}

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
/** Not the middle of a longer word; `_` and `-` do join words, and must be no way to hide. */
const WORD = table('', true);
/** For those that are long and may have these in them, so that no text is looked through again and again. */
const LONG = table('_-', true);
const NOT_BEFORE = '[A-Za-z0-9]';

interface Options {
  readonly entropy?: number;
  /** Letters of either case. */
  readonly anyCase?: boolean;
  /** It may stand anywhere, and be followed by anything. */
  readonly loose?: boolean;
  readonly notAfter?: Uint8Array;
  /** Other than letters and digits. */
  readonly notBefore?: string;
  readonly check?: (text: string) => boolean;
}

/** @param bodies of which one is what a match is. */
function token(
  name: string,
  keywords: string,
  bodies: string | readonly string[],
  options: Options = {},
): TokenRule {
  const { entropy = 2, anyCase = false, loose = false, notAfter, check } = options;
  const behind = loose ? undefined : notBefore(options.notBefore ?? NOT_BEFORE);
  const sources = typeof bodies === 'string' ? [bodies] : bodies;
  const matchers = sources.map((source) => sequenceMatcher(() => ({ source, anyCase, notBefore: behind })));
  return {
    name,
    keywords: keywords.split(' '),
    match: firstOf(matchers),
    entropy,
    notAfter: loose ? undefined : (notAfter ?? WORD),
    next: (keyword) => anyOf(sources.map((source) => following(source, keyword))),
    check,
  };
}

/** A JWT that was encoded once more, as Kubernetes' secrets are. */
function isEncodedJwt(text: string): boolean {
  return /^eyJ[\w-]+\.eyJ?[\w-]/.test(Buffer.from(text, 'base64').toString('latin1'));
}

const ANY = { anyCase: true };
const LOOSE = { loose: true };

/** Made on first use: most of what ax does has nothing to scrub. */
export function tokenRules(): TokenRule[] {
  return [
    token(
      '1password-key',
      'a3-',
      ['{11}', '{6}-[A-Z0-9]{5}'].map(
        (count) => `A3-[A-Z0-9]{6}-[A-Z0-9]${count}-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}`,
      ),
      { entropy: 3.5 },
    ),
    token('1password-token', 'ops_', 'ops_eyJ[A-Za-z0-9+/]{250,4000}={0,3}', { entropy: 4 }),
    token('adobe-secret', 'p8e-', 'p8e-[a-z0-9]{32}', ANY),
    token('age-key', 'age-secret-key-1', 'AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}', {
      entropy: 0,
    }),
    token('airtable-token', 'pat', 'pat[A-Za-z0-9]{14}\\.[a-f0-9]{64}'),
    token('alibaba-key', 'ltai', 'LTAI[A-Za-z0-9]{20}'),
    token('anthropic-key', 'sk-ant-', 'sk-ant-(?:admin|api)\\d\\d-[\\w-]{93}AA'),
    token('artifactory-key', 'akcp', 'AKCp[A-Za-z0-9]{69}', { entropy: 4 }),
    token('artifactory-token', 'cmvmd', 'cmVmd[A-Za-z0-9]{59}', { entropy: 4 }),
    token('atlassian-token', 'atatt3', 'ATATT3[\\w=-]{186}', { entropy: 3.5 }),
    token(
      'authress-key',
      'sc_ ext_ scauth_ authress_',
      '(?:sc|ext|scauth|authress)_[a-z0-9]{5,30}\\.[a-z0-9]{4,6}\\.acc[_-][a-z0-9-]{10,32}\\.[a-z0-9+/_=-]{30,120}',
      ANY,
    ),
    token(
      'aws-key',
      'a3t akia asia abia acca',
      '(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?<!EXAMPLE)',
      {
        entropy: 3,
      },
    ),
    token('aws-bedrock-key', 'absk', 'ABSKQmVkcm9ja0FQSUtleS[A-Za-z0-9+/]{90,260}={0,2}', { entropy: 3 }),
    token(
      'aws-bedrock-key',
      'bedrock-api-key-',
      'bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t[\\w+/=.~%&-]{0,4000}',
    ),
    token('beamer-token', 'b_', 'b_[a-z0-9=_-]{44}', { entropy: 3.5 }),
    token('clickhouse-key', '4b1d', '4b1d[A-Za-z0-9]{38}', { entropy: 3 }),
    token('clojars-token', 'clojars_', 'CLOJARS_[a-z0-9]{60}', ANY),
    token('cloudflare-key', 'v1.0-', 'v1\\.0-[a-f0-9]{24}-[a-f0-9]{146}'),
    token('databricks-token', 'dapi', 'dapi[a-f0-9]{32}(?:-\\d)?', { entropy: 3 }),
    token('defined-token', 'dnkey-', 'dnkey-[a-z0-9=_-]{26}-[a-z0-9=_-]{52}', ANY),
    token('digitalocean-token', 'doo_v1_ dop_v1_ dor_v1_', 'do[opr]_v1_[a-f0-9]{64}', ANY),
    token('docker-token', 'dckr_pat_ dckr_oat_', 'dckr_[op]at_[\\w-]{27,32}', { entropy: 3 }),
    token(
      'doppler-token',
      'dp.',
      'dp\\.(?:pt|st|ct|sa|scim|audit)\\.(?:[\\w-]{1,40}\\.)?[a-z0-9]{40,44}',
      ANY,
    ),
    token('dropbox-token', 'sl.', 'sl\\.[A-Za-z0-9=_-]{135,1000}', { entropy: 3.5 }),
    token('duffel-token', 'duffel_', 'duffel_(?:test|live)_[\\w=-]{43}'),
    token('dynatrace-token', 'dt0', 'dt0[a-z]\\d\\d\\.[a-z0-9]{24}\\.[a-z0-9]{64}', { ...ANY, entropy: 3.5 }),
    token('easypost-token', 'ezak eztk', 'EZ[AT]K[A-Za-z0-9]{54}', { entropy: 3 }),
    token('facebook-token', 'eaam eaac', 'EAA[MC][A-Za-z0-9]{100,1000}', { entropy: 4 }),
    token(
      'flutterwave-key',
      'flwseck flwpubk',
      'FLW(?:SEC|PUB)K(?:_TEST)?-(?:[a-h0-9]{32}-X|[a-h0-9]{12})',
      ANY,
    ),
    token('flyio-token', 'fo1_', 'fo1_[\\w-]{43}', { entropy: 4 }),
    token('flyio-token', 'fm1', 'fm1[ar]_[A-Za-z0-9+/]{100,2000}={0,3}', { entropy: 4 }),
    token('flyio-token', 'fm2_', 'fm2_[A-Za-z0-9+/]{100,2000}={0,3}', { entropy: 4 }),
    token('frameio-token', 'fio-u-', 'fio-u-[A-Za-z0-9_=-]{64}'),
    token('gcp-key', 'aiza', 'AIza[\\w-]{35}', { entropy: 4 }),
    token('gcp-oauth-token', 'ya29.', 'ya29\\.[\\w-]{30,1000}', { entropy: 3 }),
    token('gcp-oauth-secret', 'gocspx-', 'GOCSPX-[\\w-]{28}', { entropy: 3 }),
    token('github-token', 'ghp_ gho_ ghu_ ghs_ ghr_', 'gh[pousr]_[A-Za-z0-9]{36,255}', { entropy: 3 }),
    token('github-token', 'github_pat_', 'github_pat_\\w{82}', { entropy: 3 }),
    token('gitlab-token', 'glcbt-', 'glcbt-[A-Za-z0-9]{1,5}_[\\w-]{20}', { entropy: 3, loose: true }),
    token(
      'gitlab-token',
      'gldt- glffct- glft- glrt- glsoat- glpat- glrtr- glimt- glagent- gloas- glptt-',
      'gl(?:rt-t\\d_|(?:dt|ffct|ft|rt|soat|pat|rtr|imt|agent|oas|ptt)-)[\\w-]{20,300}(?:\\.[0-9a-z]{9}(?![0-9a-z]))?',
      { entropy: 3.2, loose: true },
    ),
    token('gitlab-token', 'gr1348941', 'GR1348941[\\w-]{20}', { entropy: 3.3, loose: true }),
    token('gitlab-session', '_gitlab_session=', '_gitlab_session=[0-9a-z]{32}', { entropy: 3, loose: true }),
    token('grafana-token', 'eyjrijoi', 'eyJrIjoi[A-Za-z0-9]{70,400}={0,3}', { ...ANY, entropy: 3 }),
    token('grafana-token', 'glc_', 'glc_[A-Za-z0-9+/]{32,400}={0,3}', { entropy: 3 }),
    token('grafana-token', 'glsa_', 'glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}', { ...ANY, entropy: 3 }),
    token('harness-key', 'pat. sat.', '(?:pat|sat)\\.[\\w-]{22}\\.[A-Za-z0-9]{24}\\.[A-Za-z0-9]{20}', {
      entropy: 3,
    }),
    token('heroku-key', 'hrku-aa', 'HRKU-AA[\\w-]{58}', { entropy: 4 }),
    token('huggingface-token', 'hf_', 'hf_[A-Za-z]{34}(?<!DebuggingPurposesKey)'),
    token('huggingface-token', 'api_org_', 'api_org_[A-Za-z]{34}'),
    token('infracost-token', 'ico-', 'ico-[A-Za-z0-9]{32}', { entropy: 3, notAfter: table('._-', true) }),
    token('intra42-secret', 's-s4t2', 's-s4t2(?:ud|af)-[a-f0-9]{64}', ANY),
    token(
      'jwt',
      'ey',
      'ey[A-Za-z0-9_-]{17,4000}\\.ey[A-Za-z0-9/\\\\_-]{17,8000}\\.(?:[\\w/\\\\-]{10,2000}={0,2})?',
      {
        entropy: 3,
        notAfter: LONG,
      },
    ),
    token(
      'jwe',
      'eyj',
      'eyJ[\\w-]{17,4000}\\.[\\w-]{0,2000}\\.[\\w-]{10,40}\\.[\\w-]{1,8000}\\.[\\w-]{20,50}',
      {
        entropy: 3,
        notAfter: LONG,
      },
    ),
    token('jwt', 'zxlk', 'ZXlK[\\w+/-]{50,8000}={0,2}', {
      entropy: 3,
      check: isEncodedJwt,
      notAfter: table('_-+/', true),
    }),
    token('linear-key', 'lin_api_', 'lin_api_[a-z0-9]{40}', ANY),
    token(
      'teams-webhook',
      'webhook.office.com/webhookb2/',
      `webhook\\.office\\.com/webhookb2/${UUID.replaceAll('f', 'z')}@[\\w-]{36}/IncomingWebhook/[a-z0-9]{32}/[\\w-]{36}`,
      { entropy: 0, loose: true },
    ),
    token('npm-token', 'npm_', 'npm_[A-Za-z0-9]{36}', { entropy: 2.5 }),
    token('notion-token', 'ntn_', 'ntn_[0-9]{11}[A-Za-z0-9]{35}', { entropy: 4 }),
    token('notion-token', 'secret_', 'secret_[A-Za-z0-9]{43}', { entropy: 4 }),
    token('octopus-key', 'api-', 'API-[A-Z0-9]{26}', { entropy: 3 }),
    token(
      'openai-key',
      'sk-',
      'sk-(?:(?:proj|svcacct|admin)-(?:[\\w-]{74}|[\\w-]{58})T3BlbkFJ(?:[\\w-]{74}|[\\w-]{58})|[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20})(?![\\w-])',
      { entropy: 3 },
    ),
    token('openshift-token', 'sha256~', 'sha256~[\\w-]{43}', { entropy: 4, notBefore: '[\\w-]' }),
    token('perplexity-key', 'pplx-', 'pplx-[A-Za-z0-9]{48}', { entropy: 4 }),
    token('planetscale-token', 'pscale_', 'pscale_(?:tkn|oauth|pw)_[\\w=.-]{32,64}', { ...ANY, entropy: 3 }),
    token('plaid-token', 'access-', `access-(?:sandbox|development|production)-${UUID}`),
    token('postman-token', 'pmak-', 'PMAK-[a-f0-9]{24}-[a-f0-9]{34}', { ...ANY, entropy: 3 }),
    token('prefect-token', 'pnu_', 'pnu_[A-Za-z0-9]{36}', { entropy: 2.5 }),
    token('pulumi-token', 'pul-', 'pul-[a-f0-9]{40}'),
    token('pypi-token', 'pypi-ageichlwas5vcmc', 'pypi-AgEIcHlwaS5vcmc[\\w-]{50,1000}', { entropy: 3 }),
    token('readme-token', 'rdme_', 'rdme_[a-z0-9]{70}', { entropy: 2.5 }),
    token('rubygems-token', 'rubygems_', 'rubygems_[a-f0-9]{48}'),
    token('scalingo-token', 'tk-us-', 'tk-us-[\\w-]{48}', { entropy: 3 }),
    token('sendgrid-token', 'sg.', 'SG\\.[A-Za-z0-9=_.-]{66}', { entropy: 3 }),
    token('sendinblue-token', 'xkeysib-', 'xkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}'),
    token(
      'sentry-token',
      'sntrys_eyj',
      'sntrys_eyJpYXQiO[A-Za-z0-9+/]{10,200}(?:LCJyZWdpb25fdXJs|InJlZ2lvbl91cmwi|cmVnaW9uX3VybCI6)[A-Za-z0-9+/]{10,200}={0,2}_[A-Za-z0-9+/]{43}(?![+/])',
      { entropy: 4.5 },
    ),
    token('sentry-token', 'sntryu_', 'sntryu_[a-f0-9]{64}', { entropy: 3 }),
    token('settlemint-token', 'sm_aat_ sm_pat_ sm_sat_', 'sm_[aps]at_[A-Za-z0-9]{16}', { entropy: 3 }),
    token('shippo-token', 'shippo_', 'shippo_(?:live|test)_[a-fA-F0-9]{40}'),
    token('shopify-token', 'shpat_ shpca_ shppa_ shpss_', 'shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}', LOOSE),
    token('slack-token', 'xapp-', 'xapp-\\d-[A-Z0-9]{1,20}-\\d{1,20}-[a-z0-9]{1,100}', ANY),
    token('slack-token', 'xoxb-', 'xoxb-[0-9]{8,14}-(?:[0-9]{10,13}[A-Za-z0-9-]{0,60}|[A-Za-z0-9]{18,26})', {
      entropy: 2,
      loose: true,
    }),
    token('slack-token', 'xoxe.xox', 'xoxe.xox[bp]-\\d-[A-Z0-9]{163,166}', { ...ANY, loose: true }),
    token('slack-token', 'xoxe-', 'xoxe-\\d-[A-Z0-9]{146}', { ...ANY, loose: true }),
    token('slack-token', 'xoxo- xoxs-', 'xox[os]-\\d{1,20}-\\d{1,20}-\\d{1,20}-[a-fA-F\\d]{1,80}', LOOSE),
    token(
      'slack-token',
      'xoxa- xoxr-',
      'xox[ar]-(?:\\d-)?[0-9a-zA-Z]{8,48}(?:-[0-9a-zA-Z]{8,48}){0,4}',
      LOOSE,
    ),
    token('slack-token', 'xoxp- xoxe-', 'xox[pe](?:-[0-9]{10,13}){3}-[A-Za-z0-9-]{28,34}', LOOSE),
    token(
      'slack-webhook',
      'hooks.slack.com/',
      'hooks\\.slack\\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{43,56}',
      LOOSE,
    ),
    token('sourcegraph-token', 'sgp_', 'sgp_(?:(?:[a-fA-F0-9]{16}|local)_)?[a-fA-F0-9]{40}', { entropy: 3 }),
    token('square-token', 'eaaa', 'EAAA[\\w-]{22,60}', { entropy: 3, notBefore: '[\\w-]' }),
    token('square-token', 'sq0atp-', 'sq0atp-[\\w-]{22,60}', { entropy: 3, notBefore: '[\\w-]' }),
    token('stripe-key', 'sk_ rk_', '[sr]k_(?:test|live|prod)_[A-Za-z0-9]{10,99}'),
    token('twilio-key', 'sk', 'SK[0-9a-fA-F]{32}', { entropy: 3 }),
    token('typeform-token', 'tfp_', 'tfp_[A-Za-z0-9_.=-]{59}', { entropy: 3 }),
    token('vault-token', 'hvb.', 'hvb\\.[\\w-]{138,300}', { entropy: 4 }),
    token('vault-token', 'hvs.', 'hvs\\.[\\w-]{90,120}', { entropy: 3.5 }),
    token('yandex-token', 't1.', 't1\\.[\\w-]{1,200}={0,2}\\.[\\w-]{86}={0,2}', { entropy: 3 }),
  ];
}
