import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import { bytesSource } from '../../src/io/byte-source.js';
import { opaqueDisk } from '../../src/io/disk-source.js';
import { silentProgress } from '../../src/progress.js';
import { addDisk } from '../../src/publish/repo/add-template.js';
import { initRepository } from '../../src/publish/repo/init-repository.js';
import { repositorySigners } from '../../src/publish/repo/open-signers.js';
import {
  type PublishRequest,
  type PublishSummary,
  publishRepository,
} from '../../src/publish/target/publish-repository.js';
import type { PublishTarget } from '../../src/publish/target/publish-target.js';
import { scratchFolder } from './scratch-folder.js';

const MIB = 1024 ** 2;
const keys = { keys: [], gpgKeys: [], passphrase: () => Promise.reject(new Error('not asked for')) };

/** A repository with the template `tiny`, to be published. */
export interface TinyRepository extends AsyncDisposable {
  /** A folder for the test's own files. */
  readonly path: string;
  readonly dir: string;
  /** Publishes another content of the template in the repository. */
  readonly add: (content: string, keep?: number) => Promise<void>;
  /** Publishes a disk as it is. */
  readonly publishDisk: (name: string, disk: string, keep?: number) => Promise<void>;
  readonly publish: (target: PublishTarget, more?: Partial<PublishRequest>) => Promise<PublishSummary>;
}

/** Makes one. Its key is kept in a folder that the environment is made to name: undone by `vi.unstubAllEnvs`. */
export async function tinyRepository(): Promise<TinyRepository> {
  const folder = await scratchFolder();
  const dir = join(folder.path, 'repo');
  vi.stubEnv('TSBUILDER_DATA_DIR', join(folder.path, 'data'));
  await initRepository({ ...keys, dir });
  const publishDisk: TinyRepository['publishDisk'] = async (name, disk, keep = 0) => {
    await addDisk({
      publisher: { dir, signers: await repositorySigners(dir, keys), keep },
      ...{ disk, fields: { name, arch: 'x86_64' } },
      ...{
        blockSize: MIB,
        preset: '0',
        check: 'crc64',
        jobs: 1,
        sparsify: false,
        reuse: true,
        dryRun: false,
      },
      ...{ progress: silentProgress, signal: new AbortController().signal },
    });
  };
  const add: TinyRepository['add'] = async (content, keep) => {
    const disk = join(folder.path, 'disk');
    writeFileSync(disk, Buffer.alloc(MIB, content));
    await publishDisk('tiny', disk, keep);
  };
  await add('x');
  return {
    ...{ path: folder.path, dir, add, publishDisk },
    publish: (target, more = {}) =>
      publishRepository({
        ...{ dir, target, page: true, remove: false, dryRun: false, force: false, progress: silentProgress },
        openDisk: () => Promise.resolve(emptyDisk()),
        signal: new AbortController().signal,
        ...more,
      }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

function emptyDisk() {
  return {
    disk: opaqueDisk(bytesSource('disk', Buffer.alloc(MIB))),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** A target as somebody else sees it. */
export interface ServedPlace {
  /** Names that do not begin with a dot. */
  names(): string[];
  read(name: string): Buffer;
  write(name: string, text: string): void;
}

/** A folder that a target puts files into. */
export function servedFolder(path: string): ServedPlace {
  return {
    names: () => readdirSync(path).filter((name) => !name.startsWith('.')),
    read: (name) => readFileSync(join(path, name)),
    write: (name, text) => writeFileSync(join(path, name), text),
  };
}

const first = ['tiny-x86_64.r1.xz', 'tiny-x86_64.r1.xz.blocks'];
const second = ['tiny-x86_64.r2.xz', 'tiny-x86_64.r2.xz.blocks'];
const rest = ['index.html', 'key.asc', 'index.asc'];

/** What is true of every target, which is empty at first. */
export async function publishesStepByStep(
  { dir, add, publish }: TinyRepository,
  target: PublishTarget,
  served: ServedPlace,
): Promise<void> {
  const names = (): string[] => served.names().sort();
  expect(await publish(target, { dryRun: true })).toMatchObject({ sent: [...first, 'key.asc', 'index.asc'] });
  expect((await publish(target)).sent).toEqual([...first, ...rest]);
  for (const name of [...first, ...rest])
    expect(served.read(name).equals(readFileSync(join(dir, name)))).toBe(true);
  expect(await publish(target)).toMatchObject({ sent: [], sentBytes: 0, unchanged: 5 });
  await add('y');
  await add('y');
  served.write('other.txt', 'somebody else');
  const changed = await publish(target, { remove: true });
  expect(changed).toMatchObject({ sent: [...second, 'index.html', 'index.asc'], removed: [] });
  expect(names()).toEqual([...first, ...second, ...rest, 'other.txt'].sort());
  expect((await publish(target, { remove: true })).removed).toEqual(first);
  expect(names()).toEqual([...second, ...rest, 'other.txt'].sort());
  served.write('key.asc', 'x'.repeat(readFileSync(join(dir, 'key.asc')).length));
  expect((await publish(target)).sent).toEqual(['key.asc']);
  await replacesNoOtherIndex({ dir, add, publish }, target, served);
}

/** Another publisher's index that appears meanwhile is not replaced. */
async function replacesNoOtherIndex(
  { add, publish }: Pick<TinyRepository, 'dir' | 'add' | 'publish'>,
  target: PublishTarget,
  served: ServedPlace,
): Promise<void> {
  await add('z');
  const faster: PublishTarget = {
    ...target,
    async send(files, options) {
      await target.send(files, options);
      if (files.some(({ name }) => name === 'index.html')) served.write('index.asc', 'of another publisher');
    },
  };
  await expect(publish(faster)).rejects.toMatchObject({ code: 'TSB_CONTENT_CHANGED' });
  expect(served.read('index.asc').toString()).toBe('of another publisher');
}
