import { toJsonSchema } from '@valibot/to-json-schema';
import type { OperationKind } from '../../src/customize/operation-kind.js';

const SETTINGS = new Map<string, object>([
  ['password-crypto', { enum: ['yescrypt', 'sha512', 'sha256', 'md5'] }],
  ['no-logfile', { enum: [true, null] }],
  ['selinux-relabel', { enum: [true, null] }],
  ['no-selinux-relabel', { enum: [true, null] }],
]);

/** The JSON schema of the files of `--customize`: a list of maps with one key. */
export function customizeSchema(operations: readonly OperationKind<unknown>[]): object {
  const named = operations.map((kind) => ({ kind, schema: valueSchema(kind) }));
  const maps = [
    ...named.map(({ kind, schema }) => only(kind.name, { description: kind.summary, ...schema })),
    ...[...SETTINGS].map(([name, schema]) => only(name, schema)),
  ];
  const words = named.filter(({ kind }) => mayStandAlone(kind)).map(({ kind }) => kind.name);
  const switches = ['no-logfile', 'selinux-relabel', 'no-selinux-relabel'];
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'tsbuilder --customize',
    description: 'Operations on a guest, in the order in which they are done; passwords come last.',
    type: 'array',
    items: { anyOf: [...maps, { enum: [...words, ...switches] }] },
  };
}

function valueSchema(kind: OperationKind<unknown>): object {
  const { $schema: _, ...schema } = toJsonSchema(kind.schema, { typeMode: 'input', errorMode: 'ignore' });
  if (!mayStandAlone(kind)) return schema;
  return { anyOf: [...(kind.argument === undefined ? [] : [schema]), { enum: [true, null] }] };
}

function mayStandAlone({ argument }: OperationKind<unknown>): boolean {
  return argument === undefined || argument.startsWith('[');
}

function only(name: string, schema: object): object {
  return { type: 'object', properties: { [name]: schema }, required: [name], additionalProperties: false };
}
