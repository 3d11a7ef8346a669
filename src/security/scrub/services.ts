/**
 * Credentials that look like any other hex or base64, and are recognised by the name of the service that they are
 * assigned to: `ALGOLIA_KEY=…`. Alphabets and lengths are those of the rules that gitleaks keeps.
 */

import { firstOf, type Matcher, onlyBefore, sequenceMatcher } from './matcher.ts';

export interface ServiceRule {
  /** What the marker says: the service. */
  readonly name: string;
  /** Lower case; each in the name of a variable, a key, an option. */
  readonly keywords: readonly string[];
  /** The whole value. */
  readonly match: Matcher;
  readonly entropy: number;
}

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
/** `{alnum:32}` and the like, for what nearly all of them are. */
const ALPHABETS: Readonly<Record<string, string>> = {
  digit: '[0-9]',
  hex: '[a-f0-9]',
  alnum: '[a-z0-9]',
  word: '[a-z0-9_-]',
  text: '[a-z0-9=_-]',
};

function service(keywords: string, values: string, entropy = 0): ServiceRule {
  const all = keywords.split(' ');
  return {
    name: (all[0] as string).replaceAll(/[^a-z0-9]/g, '-'),
    keywords: all,
    match: firstOf(
      values
        .split(' ')
        .map((value) =>
          sequenceMatcher(() => ({ source: sourceOf(value), anyCase: true, notBefore: NOT_ENDED })),
        ),
    ),
    entropy,
  };
}

/** Behind a value there is a quote, white space, what separates it from the next, or nothing. */
const NOT_ENDED = onlyBefore('[`\'" \t\n\v\f\r\xa0;,&<\\\\]');

function sourceOf(value: string): string {
  return value
    .replaceAll(/(digit|hex|alnum|word|text):([\d,]+)/g, (_, name: string, count: string) => {
      return `${ALPHABETS[name]}{${count}}`;
    })
    .replaceAll('UUID', UUID);
}

export function serviceRules(): ServiceRule[] {
  return [
    service('adafruit', 'word:32'),
    service('adobe', 'hex:32', 2),
    service('airtable', 'alnum:17'),
    service('algolia', 'alnum:32'),
    service('alibaba', 'alnum:30', 2),
    service('asana', 'digit:16 alnum:32'),
    service('atlassian confluence jira', 'alnum:20hex:4', 3.2),
    service('beamer', 'b_text:44'),
    service('bitbucket', 'alnum:32 text:64'),
    service('bittrex', 'alnum:32'),
    service('meraki', 'hex:40', 3),
    service('cloudflare', 'word:40 hex:37', 2),
    service('codecov', 'alnum:32'),
    service('cohere co_api_key', 'alnum:40', 3.5),
    service('coinbase', 'word:64'),
    service('confluent', 'alnum:16 alnum:64'),
    service('contentful', 'text:43'),
    service('datadog', 'alnum:40'),
    service('discord', 'hex:64 digit:18 text:32', 2),
    service('droneci', 'alnum:32'),
    service('dropbox', 'alnum:15 alnum:11A{10}text:43 sl\\.text:135', 2),
    service('etsy', 'alnum:24', 3),
    service('facebook', 'hex:32', 3),
    service('fastly', 'text:32'),
    service('finicity', 'hex:32 alnum:20'),
    service('finnhub', 'alnum:20'),
    service('flickr', 'alnum:32'),
    service('freshbooks', 'alnum:64'),
    service('gitter', 'word:40'),
    service('gocardless', 'live_text:40'),
    service('heroku', 'UUID'),
    service('hubspot', 'UUID'),
    service('intercom', 'text:60'),
    service('jfrog artifactory bintray xray', 'alnum:73 alnum:64', 2),
    service('kraken', '[a-z0-9/=_+-]{80,90}'),
    service('kucoin', 'hex:24 UUID'),
    service('launchdarkly', 'text:40'),
    service('linear', 'hex:32', 2),
    service('linkedin linked_in linked-in', 'alnum:14 alnum:16', 2),
    service('lob', 'live_hex:35 test_hex:35 live_pub_hex:31 test_pub_hex:31'),
    service('mailchimp', 'hex:32-us\\d\\d'),
    service('mailgun', 'key-hex:32 pubkey-hex:32 [a-h0-9]{32}-[a-h0-9]{8}-[a-h0-9]{8}'),
    service('mapbox', '[ps]k\\.alnum:60\\.alnum:22'),
    service('mattermost', 'alnum:26'),
    service('maxmind', 'alnum:6_alnum:29_mmk'),
    service('messagebird message_bird message-bird', 'alnum:25 UUID'),
    service('netlify', 'text:40,46'),
    service('newrelic new_relic new-relic', 'NRJS-hex:19 NRII-[a-z0-9-]{32} alnum:64 NRAK-alnum:27'),
    service('nytimes newyorktimes new-york-times', 'text:32'),
    service('okta', '00[\\w=-]{40}', 4),
    service('plaid', 'alnum:24 alnum:30', 3),
    service('privateai private_ai private-ai', 'alnum:32', 3),
    service('rapidapi', 'word:50'),
    service('sendbird', 'UUID hex:40'),
    service('sentry', 'hex:64', 3),
    service('bundle_enterprise__contribsys__com bundle_gems__contribsys__com', 'hex:8:hex:8'),
    service('snyk', 'UUID'),
    service('sonar', 'text:40'),
    service('sourcegraph', 'hex:40', 3),
    service('squarespace', 'UUID'),
    service('sumo', 'sualnum:12 alnum:64', 3),
    service('telegr', 'digit:5,16:A[\\w-]{34}'),
    service('travis', 'alnum:22'),
    service('twitch', 'alnum:30'),
    service('twitter', 'alnum:45 digit:15,25-alnum:20,40 alnum:25 alnum:50 A{22}[a-z0-9%]{80,100}'),
    service('yandex', 'AQVN[\\w-]{35,38} YC[\\w-]{38} t1\\.[\\w-]{1,200}={0,2}\\.[\\w-]{86}={0,2}'),
    service('zendesk', 'alnum:40'),
  ];
}
