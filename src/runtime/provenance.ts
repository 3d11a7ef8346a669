import type { JsonValue } from '../security/json.ts';
import type { ReceiptReading } from './receipt-reading.ts';
import { IN_TOTO_PAYLOAD_TYPE, STATEMENT_TYPE } from './statement.ts';

/** A receipt as SLSA Provenance v1 (slsa.dev/spec/v1.0/provenance); docs/formats.md, "SLSA provenance". */

export const PROVENANCE_PREDICATE_TYPE = 'https://slsa.dev/provenance/v1';
export const PROVENANCE_BUILD_TYPE = 'urn:ax:task:v1';

/** An in-toto ResourceDescriptor, with the members that are used here. */
interface Resource {
  readonly name: string;
  readonly digest: { readonly [algorithm: string]: string };
  readonly mediaType?: string;
  readonly annotations?: { readonly [name: string]: string };
}

export interface ProvenanceSource {
  readonly reading: ReceiptReading;
  /** SHA-256, hex, of the statement that the host signed. */
  readonly statementSha256: string;
  /** The kid of the host key that signed it: the machine that is to be believed. */
  readonly hostKid: string;
}

/**
 * The provenance that a receipt is evidence of. Nothing is claimed that the receipt does not have: the subjects are
 * the outputs of a task that completed. Where there are none it is the receipt, which every run produces; never
 * ax.lock, which no run has built.
 *
 * @returns null where nothing was executed, and so nothing has a provenance
 */
export function buildProvenance({
  reading,
  statementSha256,
  hostKid,
}: ProvenanceSource): { [name: string]: JsonValue } | null {
  const { command, exit, manifest } = reading;
  if (command === null || exit === null || exit.kind === 'not-started') return null;
  const receipt: Resource = {
    name: `receipt/${reading.receiptId}`,
    digest: { sha256: statementSha256 },
    mediaType: IN_TOTO_PAYLOAD_TYPE,
  };
  const built = reading.outcome === 'completed' ? reading.subject.filter((one) => !isLock(one, reading)) : [];
  const statement = {
    _type: STATEMENT_TYPE,
    subject: built.length > 0 ? built : [receipt],
    predicateType: PROVENANCE_PREDICATE_TYPE,
    predicate: {
      buildDefinition: {
        buildType: PROVENANCE_BUILD_TYPE,
        externalParameters: { project: reading.project, task: reading.task, argv: command.argv },
        internalParameters: {
          cwd: command.cwd,
          environment: command.environment,
          secrets: command.secrets,
          timeoutMs: command.timeoutMs,
          actor: reading.actor,
          host: reading.host,
          manifestVersion: manifest.version,
        },
        resolvedDependencies: dependenciesOf(reading),
      },
      runDetails: {
        builder: { id: `urn:ax:host:${hostKid}` },
        metadata: {
          invocationId: `${reading.runId}/${reading.attempt}`,
          startedOn: reading.startedAt,
          finishedOn: reading.finishedAt,
          ax_outcome: reading.outcome,
        },
        byproducts: [...(built.length > 0 ? [receipt] : []), ...streamsOf(reading)],
      },
    },
  };
  // Through text and back: members that are undefined are left out, as JSON has it.
  return JSON.parse(JSON.stringify(statement)) as { [name: string]: JsonValue };
}

/** A receipt without outputs is about the lock file. */
function isLock({ name, digest }: ReceiptReading['subject'][number], { manifest }: ReceiptReading): boolean {
  return name === 'ax.lock' && digest.sha256 === manifest.lockSha256;
}

function dependenciesOf({ manifest, dependencies, materials }: ReceiptReading): Resource[] {
  return [
    { name: 'ax.lock', digest: { sha256: manifest.lockSha256 } },
    ...dependencies.flatMap(({ kind, path, found }) =>
      found === null
        ? []
        : [{ name: path, digest: digestOf(kind, found.sha256), annotations: { ax_kind: kind } }],
    ),
    ...materials,
  ];
}

/** The digest of a folder is over a listing of ours, and nobody's `sha256` of its content. */
function digestOf(kind: string, sha256: string): Resource['digest'] {
  return kind === 'directory' ? { axDirectoryV1: sha256 } : { sha256 };
}

function streamsOf({ output }: ReceiptReading): Resource[] {
  if (output === null) return [];
  return (['stdout', 'stderr'] as const).map((name) => ({ name, digest: { sha256: output[name].sha256 } }));
}
