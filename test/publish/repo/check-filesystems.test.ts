import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { TsbuilderError } from '../../../src/errors.js';
import { silentProgress } from '../../../src/progress.js';
import { checkFilesystems } from '../../../src/publish/repo/check-filesystems.js';
import { MIB, makeDisk, makeSparse, patch, run } from '../../helpers/disk.js';
import { physicalVolumeHead } from '../../helpers/physical-volume.js';
import { scratchFolder } from '../../helpers/scratch-folder.js';

vi.setConfig({ testTimeout: 120_000 });

let folder: Awaited<ReturnType<typeof scratchFolder>>;
beforeEach(async () => {
  vi.stubEnv('LIBGUESTFS_BACKEND', 'direct');
  vi.stubEnv('LIBGUESTFS_BACKEND_SETTINGS', 'force_tcg');
  folder = await scratchFolder();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await folder[Symbol.asyncDispose]();
});

/** What a check of the disk says, and warns of. */
async function check(path: string): Promise<{ said: string; warnings: string[] }> {
  const warnings: string[] = [];
  const progress = { ...silentProgress, warn: (text: string): void => void warnings.push(text) };
  const { signal } = new AbortController();
  const said = await checkFilesystems({ path, name: 'deb' }, { progress, signal }).then(
    () => 'fine',
    (error: unknown) => (error instanceof TsbuilderError ? `${error.code} ${error.message}` : String(error)),
  );
  return { said, warnings };
}

it('looks through ext on LVM volumes that are in one piece, and tells of others', async () => {
  const volumes = [
    { name: 'root', pieces: [[0, 16]] },
    { name: 'data', pieces: [[40, 4], [20, 12]] }, // prettier-ignore
  ] as const;
  const disk = makeDisk(join(folder.path, 'disk.img'), 64 * MIB, 'label: gpt\nstart=1MiB,size=60MiB\n');
  const head = physicalVolumeHead(volumes, { extents: 58 });
  const ext = makeSparse(join(folder.path, 'ext'), 16 * MIB);
  run('mke2fs', ['-q', '-F', '-t', 'ext4', ext]);
  const content = readFileSync(ext);
  patch(disk, MIB, head);
  patch(disk, 2 * MIB, content);
  patch(disk, 42 * MIB, content.subarray(0, 4 * MIB));
  patch(disk, 22 * MIB, content.subarray(4 * MIB));
  const warnings = [
    expect.stringMatching(/^deb: \S+\/data \(ext4\) of the built disk is not looked through$/),
  ];
  expect(await check(disk)).toEqual({ said: 'fine', warnings });
  run('debugfs', ['-w', '-R', 'clri /lost+found', `${disk}?offset=${2 * MIB}`]);
  expect((await check(disk)).said).toMatch(/^TSB_FILESYSTEM deb: \S+\/root of the built disk: e2fsck found/);
});

it('has libguestfs look through XFS', async () => {
  const disk = makeDisk(join(folder.path, 'disk.img'), 320 * MIB, 'label: gpt\nstart=1MiB,size=310MiB\n');
  const xfs = makeSparse(join(folder.path, 'xfs'), 310 * MIB);
  run('mkfs.xfs', ['-q', xfs]);
  run('dd', [`if=${xfs}`, `of=${disk}`, 'bs=1M', 'seek=1', 'conv=sparse,notrunc', 'status=none']);
  expect(await check(disk)).toEqual({ said: 'fine', warnings: [] });
  // Of the header of the first group's free space (AGF), the number of free blocks.
  patch(disk, MIB + 512 + 52, Buffer.from([0, 0, 0, 7]));
  expect((await check(disk)).said).toBe(
    'TSB_FILESYSTEM deb: p1 of the built disk: xfs_repair would change it',
  );
});
