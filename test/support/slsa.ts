import * as z from 'zod';

/**
 * The rules of in-toto Statement v1, ResourceDescriptor v1 and SLSA Provenance v1 (slsa.dev/spec/v1.0/provenance),
 * written from their text: what is required, of what type, and which members there are. Extensions are named
 * `<vendor>_<field>`, and no standard field has an underscore.
 */

/** TypeURI and ResourceURI: RFC 3986, with a scheme; lower case where the case does not matter. */
const uri = z.string().regex(/^[a-z][a-z0-9+.-]*:[^\s]+$/);
/** "Timestamp": RFC 3339 in UTC, with `Z`. */
const timestamp = z.string().regex(/^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z$/);
/** Standard algorithms are in lower-case hex; others are ignored by who does not know them. */
const digestSet = z
  .record(z.string().regex(/^[A-Za-z0-9_]+$/), z.string().min(1))
  .refine((set) => Object.keys(set).length > 0)
  .refine(({ sha256 }) => sha256 === undefined || /^[0-9a-f]{64}$/.test(sha256));

const extension = z.string().regex(/^[a-z]+_[A-Za-z0-9]+$/);

/** An object with these members, and extensions. */
function members<T extends z.ZodRawShape>(shape: T) {
  return z
    .looseObject(shape)
    .refine((value) =>
      Object.keys(value).every((name) => name in shape || extension.safeParse(name).success),
    );
}

const resource = members({
  name: z.string().min(1).optional(),
  uri: uri.optional(),
  digest: digestSet.optional(),
  content: z.base64().optional(),
  downloadLocation: uri.optional(),
  mediaType: z.string().optional(),
  annotations: z.record(z.string(), z.json()).optional(),
}).refine(
  ({ uri: at, digest, content }) => at !== undefined || digest !== undefined || content !== undefined,
);

const builder = members({
  id: uri,
  builderDependencies: z.array(resource).optional(),
  version: z.record(z.string(), z.string()).optional(),
});

const parameters = z.record(z.string(), z.json());

const provenance = members({
  buildDefinition: members({
    buildType: uri,
    externalParameters: parameters,
    internalParameters: parameters.optional(),
    resolvedDependencies: z.array(resource).optional(),
  }).refine(({ externalParameters: own, internalParameters: other = {} }) =>
    Object.keys(own).every((name) => !(name in other)),
  ),
  runDetails: members({
    builder,
    metadata: members({
      invocationId: z.string().min(1).optional(),
      startedOn: timestamp.optional(),
      finishedOn: timestamp.optional(),
    }).optional(),
    byproducts: z.array(resource).optional(),
  }),
});

const subject = z
  .array(resource.refine(({ digest }) => digest !== undefined))
  .min(1)
  .refine((list) => new Set(list.map(({ name }) => name)).size === list.length);

export const slsaStatement = z.strictObject({
  _type: z.literal('https://in-toto.io/Statement/v1'),
  subject,
  predicateType: z.literal('https://slsa.dev/provenance/v1'),
  predicate: provenance,
});
