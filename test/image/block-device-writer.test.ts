import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openBlockDeviceWriter } from '../../src/image/block-device-writer.js';
import * as libc from '../../src/io/libc.js';
import { type TempFolder, run, tempFolder } from '../helpers/disk-tools.js';

vi.mock('../../src/io/libc.js', { spy: true });

const MIB = 1024 * 1024;
let folder: TempFolder;
let device: string;
const undo: (() => void)[] = [];

beforeEach(() => {
  folder = tempFolder();
  writeFileSync(folder.file('backing'), Buffer.alloc(16 * MIB, 0xaa));
  device = run('losetup', '--find', '--show', folder.file('backing')).trim();
  undo.push(() => run('losetup', '--detach', device));
});
afterEach(() => {
  for (const step of undo.splice(0).reverse()) step();
  vi.mocked(libc.punchHole).mockReset();
  vi.mocked(libc.zeroBlockDevice).mockReset();
  vi.mocked(libc.blockDeviceBytes).mockReset();
  folder[Symbol.dispose]();
});

const refused = (reason: string): object => ({
  code: 'TSB_OUTPUT_UNUSABLE',
  message: expect.stringContaining(reason) as string,
});

describe('openBlockDeviceWriter', () => {
  const ways = {
    'by discard': () => undefined,
    'by BLKZEROOUT': () => vi.mocked(libc.punchHole).mockResolvedValue(false),
    'by writing': () => {
      vi.mocked(libc.punchHole).mockResolvedValue(false);
      vi.mocked(libc.zeroBlockDevice).mockResolvedValue(false);
      vi.mocked(libc.blockDeviceBytes).mockReturnValue(undefined);
    },
  };

  it.each(Object.entries(ways))('leaves zeros wherever nothing was written: %s', async (_, prepare) => {
    prepare();
    await using writer = await openBlockDeviceWriter(device, 12 * MIB);
    await writer.write(5000, Buffer.alloc(3 * MIB, 1));
    await writer.zero(4 * MIB + 7, MIB);
    await writer.write(9 * MIB, Buffer.alloc(100, 2));
    await writer.zero(9 * MIB + 100, 1000);
    await writer.finish();
    const expected = Buffer.alloc(16 * MIB, 0xaa).fill(0, 0, 12 * MIB);
    expected.fill(1, 5000, 5000 + 3 * MIB).fill(2, 9 * MIB, 9 * MIB + 100);
    expect(readFileSync(device).equals(expected)).toBe(true);
  });

  it('gives the space of zeros back where the device can', async () => {
    await using writer = await openBlockDeviceWriter(device, 16 * MIB);
    await writer.finish();
    expect(statSync(folder.file('backing')).blocks * 512).toBeLessThan(MIB);
  });

  it('leaves everything when nothing was finished', async () => {
    await (await openBlockDeviceWriter(device, 12 * MIB))[Symbol.asyncDispose]();
    expect(readFileSync(device).equals(Buffer.alloc(16 * MIB, 0xaa))).toBe(true);
  });

  it('refuses a device that is too small', async () => {
    await expect(openBlockDeviceWriter(device, 16 * MIB + 1)).rejects.toMatchObject({
      code: 'TSB_TOO_SMALL',
      details: { available: 16 * MIB, needed: 16 * MIB + 1 },
    });
  });

  it('refuses what is no block device', async () => {
    await expect(openBlockDeviceWriter(folder.file('backing'), 1)).rejects.toMatchObject(
      refused('not a block device'),
    );
    await expect(openBlockDeviceWriter(folder.file('none'), 1)).rejects.toMatchObject(refused('ENOENT'));
  });

  it('refuses a mounted device', async () => {
    run('mkfs.ext4', '-q', device);
    const mountPoint = folder.file('mount point');
    run('mkdir', mountPoint);
    run('mount', device, mountPoint);
    undo.push(() => run('umount', mountPoint));
    await expect(openBlockDeviceWriter(device, MIB)).rejects.toMatchObject(
      refused(`mounted on ${mountPoint}`),
    );
  });

  it('refuses swap space', async () => {
    run('mkswap', '-q', device);
    run('swapon', device);
    undo.push(() => run('swapoff', device));
    await expect(openBlockDeviceWriter(device, MIB)).rejects.toMatchObject(refused('swap space'));
  });
});
