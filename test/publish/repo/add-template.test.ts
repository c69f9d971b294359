import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { silentProgress } from '../../../src/progress.js';
import { addDisk } from '../../../src/publish/repo/add-template.js';
import { initRepository } from '../../../src/publish/repo/init-repository.js';
import { repositorySigners } from '../../../src/publish/repo/open-signers.js';
import { run } from '../../helpers/disk.js';
import { scratchFolder } from '../../helpers/scratch-folder.js';

const MIB = 1024 ** 2;
const request = { keys: [], gpgKeys: [], passphrase: () => Promise.reject(new Error('not asked for')) };

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let dir: string;
beforeEach(async () => {
  folder = await scratchFolder();
  dir = join(folder.path, 'repo');
  vi.stubEnv('TSBUILDER_DATA_DIR', join(folder.path, 'data'));
  await initRepository({ ...request, dir });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  expect(readdirSync(dir).sort()).toEqual(['index.asc', 'key.asc']);
  await folder[Symbol.asyncDispose]();
});

/** Adds a packed or plain disk of zeros. */
async function add(mib: number, fields: { name: string; arch?: string }, packed: boolean): Promise<unknown> {
  const disk = join(folder.path, 'disk');
  writeFileSync(disk, Buffer.alloc(mib * MIB));
  if (packed) run('xz', ['-0', '-T1', disk]);
  const publisher = { dir, signers: await repositorySigners(dir, request), keep: 1 };
  const packing = { blockSize: MIB, preset: '0', check: 'crc64' as const, jobs: 1, sparsify: true };
  const rest = { reuse: true, dryRun: false, progress: silentProgress, signal: new AbortController().signal };
  return addDisk({ publisher, disk: packed ? `${disk}.xz` : disk, fields, ...packing, ...rest });
}

it.each(['../evil', '/etc/evil', 'a/b', '.hidden', '..', ''])('refuses %j as a name', async (name) => {
  await expect(add(1, { name, arch: 'x86_64' }, false)).rejects.toMatchObject({ code: 'TSB_INDEX_INVALID' });
});

it('refuses how it is to be packed before it looks at the disk', async () => {
  const { signal } = new AbortController();
  const publisher = { dir, signers: await repositorySigners(dir, request), keep: 1 };
  const rest = { reuse: true, sparsify: true, jobs: 1, progress: silentProgress, signal };
  const asked = { publisher, disk: '/missing', fields: { name: 'a' }, dryRun: true, ...rest };
  const packing = { blockSize: MIB, preset: '10', check: 'crc64' as const };
  await expect(addDisk({ ...asked, ...packing })).rejects.toMatchObject({ code: 'TSB_USAGE' });
});

it('tries whether its keys sign before it packs', async () => {
  const { signal } = new AbortController();
  const disk = join(folder.path, 'disk');
  writeFileSync(disk, Buffer.alloc(MIB));
  const refuse = (): Promise<string> => Promise.reject(new Error('no agent'));
  const [signer] = await repositorySigners(dir, request);
  const publisher = { dir, signers: [{ ...signer!, sign: refuse }], keep: 1 };
  const steps: string[] = [];
  const step = (label: string) => {
    steps.push(label);
    return silentProgress.step(label);
  };
  const rest = { reuse: true, sparsify: true, jobs: 1, progress: { ...silentProgress, step }, signal };
  const packing = { blockSize: MIB, preset: '0', check: 'crc64' as const };
  const fields = { name: 'a', arch: 'x86_64' };
  await expect(addDisk({ publisher, disk, fields, dryRun: false, ...packing, ...rest })).rejects.toThrow(
    'no agent',
  );
  expect(steps).not.toContain('Packing');
});

it('asks for an architecture that it cannot tell', async () => {
  const adding = add(1, { name: 'empty' }, false);
  await expect(adding).rejects.toMatchObject({ code: 'TSB_GUEST', hint: 'Say it with --arch.' });
});

it('refuses a packed file whose blocks are too large, and says what to do', async () => {
  const adding = add(160, { name: 'large', arch: 'x86_64' }, true);
  await expect(adding).rejects.toMatchObject({
    ...{ code: 'TSB_XZ_UNSUPPORTED', hint: expect.stringContaining('tsbuilder repack') as string },
  });
});
