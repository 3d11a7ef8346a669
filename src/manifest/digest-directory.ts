import { createHash } from 'node:crypto';
import { readdirSync, readlinkSync, realpathSync } from 'node:fs';
import { join, sep } from 'node:path';
import { digestFile, NotAFileError } from './digest-file.ts';

export interface DirectoryDigest {
  readonly sha256: string;
  /** Bytes of all the files in it. */
  readonly size: number;
  /** Over the identities of all the files in it; see `FileDigest.identity`. */
  readonly identity: string;
}

const MAX_ENTRIES = 200_000;
const DOMAIN = 'ax-directory-v1\n';

/**
 * SHA-256 over a length-prefixed listing of every file below a folder: path, mode, size and digest of each,
 * sorted by the bytes of the path. Each field is preceded by its length as 8 bytes, big-endian, so no two
 * different listings have the same bytes.
 *
 * A symbolic link is listed as what it points to, and only when that stays inside the folder: what is outside
 * is not pinned by this digest. Refused: links that leave, special files, names that are one name on a file
 * system that folds case, names that are not UTF-8.
 *
 * @throws NotAFileError saying which entry was found to be what
 */
export function digestDirectory(root: string): DirectoryDigest {
  const entries: { path: Buffer; mode: string; size: number; sha256: string; identity: string }[] = [];
  const realRoot = realpathSync(root);
  const visit = (relative: string): void => {
    refuseCollisions(relative, join(root, relative));
    for (const entry of readdirSync(join(root, relative), { withFileTypes: true, encoding: 'buffer' })) {
      const name = utf8Name(entry.name, relative);
      const path = relative === '' ? name : `${relative}/${name}`;
      const absolute = join(root, path);
      if (entry.isDirectory()) {
        visit(path);
        continue;
      }
      const content = entry.isSymbolicLink()
        ? digestLink(absolute, path, realRoot)
        : digestNamed(absolute, path);
      entries.push({ path: Buffer.from(path), ...content });
      if (entries.length > MAX_ENTRIES) throw new NotAFileError(`more than ${MAX_ENTRIES} files`);
    }
  };
  visit('');
  entries.sort((a, b) => Buffer.compare(a.path, b.path));

  const hash = createHash('sha256').update(DOMAIN);
  const identities = createHash('sha256');
  let size = 0;
  for (const entry of entries) {
    for (const field of [entry.path, entry.mode, String(entry.size), entry.sha256]) updateField(hash, field);
    identities.update(`${entry.identity}\n`);
    size += entry.size;
  }
  return { sha256: hash.digest('hex'), size, identity: identities.digest('hex') };
}

function updateField(hash: ReturnType<typeof createHash>, field: string | Buffer): void {
  const bytes = typeof field === 'string' ? Buffer.from(field) : field;
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(bytes.length));
  hash.update(length).update(bytes);
}

function digestNamed(absolute: string, path: string) {
  try {
    return digestFile(absolute);
  } catch (error) {
    if (error instanceof NotAFileError) throw new NotAFileError(`${path} is ${error.message}`);
    throw error;
  }
}

function digestLink(absolute: string, path: string, realRoot: string) {
  const target = readlinkSync(absolute);
  let real: string;
  try {
    real = realpathSync(absolute);
  } catch {
    throw new NotAFileError(`${path} is a link to ${target}, which is not there`);
  }
  if (real !== realRoot && !real.startsWith(realRoot + sep)) {
    throw new NotAFileError(`${path} is a link that leaves the folder (${target})`);
  }
  const bytes = Buffer.from(target);
  return {
    mode: '120000',
    size: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    identity: target,
  };
}

/** Two names that macOS or Windows would take for one: there, one file would stand in for the other. */
function refuseCollisions(relative: string, absolute: string): void {
  const seen = new Map<string, string>();
  for (const name of readdirSync(absolute)) {
    const folded = name.normalize('NFC').toLowerCase();
    const other = seen.get(folded);
    if (other !== undefined) {
      const where = relative === '' ? '' : `${relative}/`;
      throw new NotAFileError(`${where}${other} and ${where}${name} are one name where case does not count`);
    }
    seen.set(folded, name);
  }
}

function utf8Name(name: Buffer, relative: string): string {
  const text = name.toString();
  if (!Buffer.from(text).equals(name)) throw new NotAFileError(`${relative}/ has a name that is not UTF-8`);
  return text;
}
