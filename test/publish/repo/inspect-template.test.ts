import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { silentProgress } from '../../../src/progress.js';
import { type DiskFacts, inspectTemplate } from '../../../src/publish/repo/inspect-template.js';
import { MIB, makeDisk, makeSparse, run } from '../../helpers/disk.js';
import { scratchFolder } from '../../helpers/scratch-folder.js';

vi.setConfig({ testTimeout: 120_000 });

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let warnings: string[];
beforeEach(async () => {
  vi.stubEnv('LIBGUESTFS_BACKEND', 'direct');
  vi.stubEnv('LIBGUESTFS_BACKEND_SETTINGS', 'force_tcg');
  folder = await scratchFolder();
  warnings = [];
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await folder[Symbol.asyncDispose]();
});

const at = (name: string): string => join(folder.path, name);

function inspect(path: string, place: { expand?: string; lvexpand?: string } = {}): Promise<DiskFacts> {
  const progress = { ...silentProgress, warn: (text: string): void => void warnings.push(text) };
  const { signal } = new AbortController();
  return inspectTemplate(path, { given: { name: 'os', ...place }, scratchFor: at('disk'), progress, signal });
}

/** A disk with XFS on its only partition. */
function xfsDisk(options: readonly string[]): string {
  const xfs = makeSparse(at('xfs'), 310 * MIB);
  run('mkfs.xfs', ['-q', ...options, xfs]);
  const disk = makeDisk(at('disk.img'), 320 * MIB, 'label: gpt\nstart=1MiB,size=310MiB\n');
  run('dd', [`if=${xfs}`, `of=${disk}`, 'bs=1M', 'seek=1', 'conv=sparse,notrunc', 'status=none']);
  return disk;
}

/** A disk with a system on the XFS of its only partition. */
function xfsSystem(): string {
  writeFileSync(at('version'), '12.5\n');
  writeFileSync(at('fstab'), '');
  const etc = [`debian_version ---644 0 0 ${at('version')}`, `fstab ---644 0 0 ${at('fstab')}`];
  const tree = ['etc d--755 0 0', ...etc, '$', 'bin d--755 0 0', 'sh ---755 0 0 /bin/sh', '$', '$'];
  writeFileSync(at('tree'), ['/', '0 0', 'd--755 0 0', ...tree, ''].join('\n'));
  return xfsDisk(['-p', at('tree')]);
}

it('has libguestfs find a system that only it reads', async () => {
  expect(await inspect(xfsSystem())).toMatchObject({
    ...{ size: 320 * MIB, format: 'raw', packed: false },
    ...{ arch: 'x86_64', fullName: 'debian 12.5', osinfo: 'debian12' },
    ...{ expand: '/dev/sda1', lvexpand: undefined },
  });
});

it('says what would be found with libguestfs', async () => {
  const disk = xfsDisk([]);
  vi.stubEnv('PATH', folder.path);
  expect((await inspect(disk)).arch).toBeUndefined();
  expect(warnings).toEqual([expect.stringMatching(/\(xfs on 1\), install libguestfs-tools$/)]);
});

it.each(['vmdk', 'vdi', 'qcow2'])('looks into a %s image', async (format) => {
  const disk = makeDisk(at('disk.img'), 8 * MIB, 'label: gpt\nstart=1MiB,size=4MiB\n');
  run('qemu-img', ['convert', '-O', format, disk, at('image')]);
  expect(await inspect(at('image'))).toMatchObject({ size: 8 * MIB, format: 'raw', packed: false });
  expect(readdirSync(folder.path).sort()).toEqual(['disk.img', 'image']);
});

it('refuses to have something grown that cannot grow', async () => {
  const disk = makeDisk(at('disk.img'), 8 * MIB, 'label: gpt\nstart=1MiB,size=4MiB\n');
  await expect(inspect(disk, { expand: '/dev/sda9' })).rejects.toMatchObject({
    code: 'TSB_PARTITION_NOT_FOUND',
  });
  await expect(inspect(disk, { lvexpand: '/dev/vg/root' })).rejects.toMatchObject({
    code: 'TSB_PARTITION_NOT_FOUND',
  });
});
