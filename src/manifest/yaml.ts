import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from 'yaml';
import { AxError } from '../errors.ts';
import { decodeUtf8 } from '../security/json.ts';

/** A YAML document that is plain data, and where in the text each part of it stands. */
export interface YamlSource {
  readonly value: unknown;
  /** Where the value at a path stands; where the key itself does when `key` is given. */
  locate(path: readonly PropertyKey[], key?: string): Position;
}

/** Both from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

const MAX_BYTES = 1024 * 1024;

/**
 * Parses YAML 1.2 core and nothing more: duplicate keys, anchors, aliases, merge keys, custom tags, several
 * documents, keys that are not strings, and bytes that are not UTF-8 are refused.
 *
 * @throws YAML_MALFORMED as `file:line:column: what`
 */
export function parseYaml(bytes: Uint8Array, source: string): YamlSource {
  if (bytes.length > MAX_BYTES) {
    throw new AxError(
      'YAML_MALFORMED',
      `${source}: expected at most ${MAX_BYTES} bytes, found ${bytes.length}`,
      {
        hint: `move generated content out of ${source}`,
      },
    );
  }
  const text = decodeYaml(bytes, source);
  const lines = new LineCounter();
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    merge: false,
    uniqueKeys: true,
    strict: true,
    stringKeys: true,
    lineCounter: lines,
    prettyErrors: false,
    // Not 'silent': then it would keep to itself that there is a second document.
    logLevel: 'error',
  });
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const refuse = (offset: number, message: string): never => {
    const { line, column } = at(offset);
    throw new AxError('YAML_MALFORMED', `${source}:${line}:${column}: ${message}`, {
      hint: `correct ${source} and run the command again`,
    });
  };
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) refuse(problem.pos[0], describe(problem.code, problem.message));
  if (document.directives?.yaml.explicit === true && document.directives.yaml.version !== '1.2') {
    refuse(0, 'expected YAML 1.2');
  }
  refuseCleverness(document, refuse);
  return {
    value: document.toJS({ maxAliasCount: 0 }),
    locate: (path, key) => at(offsetOf(document, path, key)),
  };
}

function decodeYaml(bytes: Uint8Array, source: string): string {
  try {
    return decodeUtf8(bytes, source);
  } catch (error) {
    if (!(error instanceof AxError)) throw error;
    throw new AxError('YAML_MALFORMED', error.message, { hint: error.hint, cause: error });
  }
}

/** Nothing in the file may mean something that a reader of the text cannot see where it stands. */
function refuseCleverness(
  document: Document.Parsed,
  refuse: (offset: number, message: string) => never,
): void {
  const start = (node: unknown): number => (isNode(node) ? (node.range?.[0] ?? 0) : 0);
  visit(document, {
    Node(_key, node) {
      if (isAlias(node)) refuse(start(node), `expected a value, found the alias *${node.source}`);
      if ('anchor' in node && node.anchor !== undefined) {
        refuse(start(node), `expected a value, found the anchor &${node.anchor}`);
      }
      if (node.tag !== undefined && !node.tag.startsWith('tag:yaml.org,2002:')) {
        refuse(start(node), `expected no custom tag, found ${node.tag}`);
      }
    },
    Pair(_key, pair) {
      const key = pair.key;
      if (!isScalar(key) || typeof key.value !== 'string') {
        return refuse(start(key), 'expected a plain text key; put it in quotes if it looks like a number');
      }
      if (key.value === '<<') return refuse(start(key), 'expected a key, found a merge key (<<)');
      if (key.value === '__proto__') return refuse(start(key), 'expected a key, found __proto__');
      return undefined;
    },
  });
}

function describe(code: string, message: string): string {
  switch (code) {
    case 'DUPLICATE_KEY':
      return 'expected each key once, found a duplicate key';
    case 'MULTIPLE_DOCS':
      return 'expected one document, found several';
    case 'TAG_RESOLVE_FAILED':
      return 'expected no custom tag';
    case 'NON_STRING_KEY':
      return 'expected a plain text key; put it in quotes if it looks like a number';
    case 'TAB_AS_INDENT':
      return 'expected spaces for indentation, found a tab';
    default:
      return message.replace(/\s+/g, ' ').slice(0, 200);
  }
}

function offsetOf(document: Document.Parsed, path: readonly PropertyKey[], key: string | undefined): number {
  // A missing value has no place of its own: the nearest part around it that is there stands for it.
  for (let length = path.length; length >= 0; length -= 1) {
    const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    if (!isNode(node)) continue;
    if (key !== undefined && length === path.length && isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === key);
      const range = (pair?.key as Node | undefined)?.range;
      if (range) return range[0];
    }
    return node.range?.[0] ?? 0;
  }
  return 0;
}
