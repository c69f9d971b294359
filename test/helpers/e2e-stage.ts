import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EntryFields, type IndexKey, indexText, makeIndexKey, serve } from './e2e-repository.js';
import { type MadeTemplate, TEMPLATE_SIZE, makeTemplate, sha512 } from './e2e-template.js';
import { type TestServer, startTestServer } from './http-server.js';

/** What the tests of one file share: a template, and a signed repository that serves it as `small`. */
export interface Stage extends AsyncDisposable {
  readonly folder: string;
  readonly template: MadeTemplate;
  readonly key: IndexKey;
  readonly server: TestServer;
  /** The options that choose and trust the repository on the server. */
  readonly source: readonly string[];
  /** The same repository by path. */
  readonly localSource: readonly string[];
  /** The index of the repository. */
  readonly index: string;
  /** The fields of the template's entry. */
  readonly fields: EntryFields;
  /** Paths that were asked for on the server since `forget` or the start, the index left out. */
  downloads(): string[];
  /** Forgets the requests so far, and all faults. */
  forget(): void;
  /** Serves `data` as template `name` in a repository of its own and returns the options that choose it. */
  publish(name: string, data: Uint8Array, fields?: EntryFields): Promise<readonly string[]>;
}

/** Makes a template and the repository. */
export async function openStage(): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'tsbuilder-e2e-stage-'));
  const template = makeTemplate(folder);
  const key = await makeIndexKey(folder);
  const server = await startTestServer();
  const fields = entryFor(template.xz, 'small.xz');
  const index = indexText({
    small: { name: 'A small system', notes: 'Made for tests.', ...fields },
    info: fields,
  });
  const signed = await key.sign(index);
  await writeFile(join(folder, 'index.asc'), signed);
  await writeFile(join(folder, 'small.xz'), template.xz);
  serve(server, { 'index.asc': signed, 'small.xz': template.xz });
  const trust = ['--key', key.file];
  return {
    folder,
    template,
    key,
    server,
    fields,
    index,
    source: ['--source', `${server.url}/repo/index.asc`, ...trust],
    localSource: ['--source', join(folder, 'index.asc'), ...trust],
    downloads: () => server.requests.map(({ path }) => path).filter((path) => !path.endsWith('.asc')),
    forget() {
      server.requests.length = 0;
      server.fault = () => undefined;
    },
    async publish(name, data, changes = {}) {
      const text = indexText({ [name]: { ...entryFor(data, `${name}.xz`), ...changes } });
      serve(server, { [`${name}.asc`]: await key.sign(text), [`${name}.xz`]: data });
      return ['--source', `${server.url}/repo/${name}.asc`, ...trust];
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function entryFor(data: Uint8Array, file: string): EntryFields {
  return {
    file,
    'checksum[sha512]': sha512(data),
    revision: 1,
    format: 'raw',
    size: TEMPLATE_SIZE,
    compressed_size: data.length,
    expand: '/dev/sda2',
  };
}
