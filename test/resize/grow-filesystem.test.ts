import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openFileSource } from '../../src/io/file-source.js';
import { silentProgress } from '../../src/progress.js';
import { formatResizePlan } from '../../src/resize/format-plan.js';
import { type GrowResult, assertGrowTools, growFilesystems } from '../../src/resize/grow-filesystem.js';
import { type ResizePlan, type ResizeRequest, planResize } from '../../src/resize/plan-resize.js';
import { probeContent } from '../../src/probe/probe-content.js';
import {
  KIB,
  MIB,
  applyPlan,
  complaintsAbout,
  makeDisk,
  makeDisk4k,
  makeSparse,
  patch,
  peek,
  readWithSfdisk,
  run,
} from '../helpers/disk.js';
import { makeExt, makeFat, makeNoise, makeSwap, readExt, swapHeader } from '../helpers/disk-content.js';

let folder: string;
let before: string;
let after: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tsbuilder-grow-'));
  before = join(folder, 'before.img');
  after = join(folder, 'after.img');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const LINUX = '0FC63DAF-8483-4772-8E79-3D69D8477DE4';
const ESP = 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B';
const BIOS = '21686148-6449-6E6F-744E-656564454649';

async function plan(targetSize: number, options: Partial<ResizeRequest> = {}): Promise<ResizePlan> {
  await using source = await openFileSource(before);
  return await planResize({ source, targetSize, ...options });
}

async function resize(
  targetSize: number,
  options: Partial<ResizeRequest> = {},
): Promise<{ plan: ResizePlan; grown: GrowResult[] }> {
  const made = await plan(targetSize, options);
  applyPlan(made, before, after);
  return { plan: made, grown: await growFilesystems(made, after, { progress: silentProgress }) };
}

function extAfter(made: ResizePlan): ReturnType<typeof readExt> {
  return readExt(after, made.grow[0]!);
}

/** The range in bytes of a partition, as sfdisk sees it. */
function placeOf(path: string, number: number): { offset: number; length: number } {
  const { start, size } = readWithSfdisk(path).partitions.get(number)!;
  return { offset: start * 512, length: size * 512 };
}

describe('growFilesystems on the layouts of distributions', () => {
  it('grows the Debian cloud image: root is partition 1 and last, behind 14 and 15', async () => {
    makeDisk(
      before,
      64 * MIB,
      `label: gpt\n1 : start=18432, type=${LINUX}, name=root\n14 : start=2048, size=6144, type=${BIOS}\n15 : start=8192, size=10240, type=${ESP}\n`,
    );
    const root = placeOf(before, 1);
    makeExt(before, root);
    makeFat(before, placeOf(before, 15));
    const { plan: made, grown } = await resize(300 * MIB);
    expect(made.grow.map(({ partition, content }) => [partition, content])).toEqual([[1, 'ext']]);
    const is = placeOf(after, 1);
    expect(is).toEqual({ offset: root.offset, length: root.length + 236 * MIB });
    expect(extAfter(made)).toMatchObject({ intact: true, size: Math.floor(is.length / 1024) * 1024 });
    expect(grown[0]).toMatchObject({ partition: 1, name: 'ext4', oldSize: root.length });
    expect(grown[0]!.freeBytes).toBeGreaterThan(200 * MIB);
    expect(complaintsAbout(after, 'gpt')).toEqual([]);
    run('fsck.vfat', ['-n', sliceOf(after, placeOf(after, 15))]);
    expect(formatResizePlan(made)).toBe(
      'disk         64 MiB -> 300 MiB\npartition 1  ext4  54 MiB -> 290 MiB',
    );
  });

  it('grows the Debian installer disk: MBR, logical swap behind root moves', async () => {
    makeDisk(
      before,
      96 * MIB,
      'label: dos\n1 : start=2048, size=122880, type=83, bootable\n2 : start=126974, size=65538, type=5\n5 : start=126976, size=65536, type=82\n',
    );
    makeExt(before, placeOf(before, 1));
    const swap = placeOf(before, 5);
    makeSwap(before, swap);
    const { plan: made } = await resize(196 * MIB);
    expect(placeOf(after, 5)).toEqual({ ...swap, offset: swap.offset + 102 * MIB });
    const { kind, uuid, label } = await content(after, placeOf(after, 5));
    expect({ kind, uuid, label }).toEqual({
      kind: 'swap',
      uuid: '12345678-9abc-def0-1234-56789abcdef0',
      label: 'swapped',
    });
    expect(extAfter(made)).toMatchObject({ intact: true, size: 162 * MIB });
    expect(complaintsAbout(after, 'dos')).toEqual([]);
    expect(formatResizePlan(made)).toContain('partition 5  moved from 62 MiB to 164 MiB');
  });

  it('grows root in a logical partition and the extended one around it', async () => {
    makeDisk(
      before,
      64 * MIB,
      'label: dos\n1 : start=2048, type=5\n5 : start=4096, size=61440, type=82\n6 : start=67584, type=83\n',
    );
    makeExt(before, placeOf(before, 6));
    const { plan: made } = await resize(164 * MIB);
    expect(made.grow[0]).toMatchObject({ partition: 6, length: 131 * MIB });
    expect(placeOf(after, 1)).toEqual({ offset: MIB, length: 163 * MIB });
    expect(placeOf(after, 5)).toEqual(placeOf(before, 5));
    expect(extAfter(made)).toMatchObject({ intact: true, size: 131 * MIB });
    expect(complaintsAbout(after, 'dos')).toEqual([]);
  });

  it('grows root in front of a swap partition, and the swap when it is named', async () => {
    makeDisk(
      before,
      64 * MIB,
      `label: gpt\n1 : start=2048, size=81920, type=${LINUX}\n2 : start=83968, size=40960, type=S\n`,
    );
    makeExt(before, placeOf(before, 1));
    makeSwap(before, placeOf(before, 2));
    const first = await resize(164 * MIB);
    expect(first.plan.grow).toMatchObject([{ partition: 1, length: 142 * MIB }]);
    expect(extAfter(first.plan)).toMatchObject({ intact: true, size: 142 * MIB });
    const second = await resize(164 * MIB, { expand: '/dev/vda2' });
    expect(second.grown).toMatchObject([{ partition: 2, name: 'swap', newSize: 122 * MIB }]);
    const place = placeOf(after, 2);
    expect(peek(after, place.offset, 4096).equals(swapHeader(join(folder, 's'), place.length))).toBe(true);
  });

  it('grows a disk that is one ext4, to a size that is no multiple of a block', async () => {
    makeExt(makeSparse(before, 24 * MIB), { offset: 0, length: 24 * MIB });
    const { plan: made } = await resize(100 * MIB + 1000);
    expect(made.targetSize).toBe(100 * MIB + 1024);
    expect(made.table).toBe('none');
    expect(extAfter(made)).toMatchObject({ intact: true, size: 100 * MIB + 1024 });
  });

  it('grows a disk with 4096-byte sectors', async () => {
    makeDisk4k(
      before,
      64 * MIB,
      `label: gpt\n1 : start=256, size=4096, type=${ESP}\n2 : start=4352, size=8192, type=${LINUX}\n3 : start=12544, size=1024, type=${LINUX}\n`,
    );
    makeExt(before, { offset: 17 * MIB, length: 32 * MIB }, ['-b', '4096']);
    makeNoise(before, { offset: 49 * MIB, length: 4 * MIB });
    const { plan: made } = await resize(200 * MIB);
    expect(made).toMatchObject({ sectorSize: 4096, grow: [{ partition: 2, offset: 17 * MIB }] });
    expect(extAfter(made)).toMatchObject({ intact: true, size: made.grow[0]!.length });
    expect(made.grow[0]!.length).toBe(32 * MIB + 146 * MIB);
    expect(run('fdisk', ['-b', '4096', '-l', after])).not.toMatch(/mismatch|corrupt/);
  });
});

/** A copy of a partition in a file of its own. */
function sliceOf(path: string, place: { offset: number; length: number }): string {
  writeFileSync(`${path}.slice`, peek(path, place.offset, place.length));
  return `${path}.slice`;
}

async function content(
  path: string,
  place: { offset: number; length: number },
): ReturnType<typeof probeContent> {
  await using source = await openFileSource(path);
  return await probeContent(source, place);
}

describe('growFilesystems on ext filesystems of all ages', () => {
  it.each([
    ['ext2 without resize_inode', ['-t', 'ext2', '-O', '^resize_inode']],
    ['ext3', ['-t', 'ext3']],
    ['ext4 without 64bit and with 1 KiB blocks', ['-O', '^64bit', '-b', '1024']],
    ['ext4 with 64bit, 4 KiB blocks and checksums', ['-O', '64bit,metadata_csum', '-b', '4096']],
    ['ext4 with few inodes and meta_bg', ['-O', 'meta_bg,^resize_inode', '-N', '64']],
  ])('grows %s', async (_, options) => {
    makeDisk(before, 32 * MIB, 'label: dos\n1 : start=2048, type=83\n');
    makeExt(before, placeOf(before, 1), options);
    const { plan: made, grown } = await resize(400 * MIB);
    const place = placeOf(after, 1);
    expect(extAfter(made)).toMatchObject({ intact: true });
    expect(place.length - grown[0]!.newSize).toBeLessThan(4 * MIB);
  });

  it('replays a journal first', async () => {
    makeDisk(before, 32 * MIB, 'label: dos\n1 : start=2048, type=83\n');
    const place = placeOf(before, 1);
    makeExt(before, place);
    writeFileSync(join(folder, 'block'), Buffer.alloc(1024, 0x99));
    const script = `jo\njw -b 31000 ${join(folder, 'block')}\njc\n`;
    run('debugfs', ['-w', `${before}?offset=${place.offset}`], script);
    expect((await content(before, place)).features).toContain('needs_recovery');
    const { plan: made } = await resize(100 * MIB);
    expect(extAfter(made)).toMatchObject({ intact: true, size: 99 * MIB });
    expect((await content(after, made.grow[0]!)).features).not.toContain('needs_recovery');
    expect(peek(after, place.offset + 31_000 * KIB, KIB).equals(Buffer.alloc(KIB, 0x99))).toBe(true);
  });

  it('names the partition and what e2fsck says about damage', async () => {
    makeDisk(before, 32 * MIB, 'label: dos\n3 : start=2048, type=83\n');
    const { offset, length } = placeOf(before, 3);
    makeExt(before, { offset, length }, ['-b', '1024', '-O', '^metadata_csum,^uninit_bg']);
    run('debugfs', ['-w', '-R', 'sif /etc block[0] 5', `${before}?offset=${offset}`]);
    run('debugfs', ['-w', '-R', 'sif /etc mode 0100644', `${before}?offset=${offset}`]);
    await expect(resize(64 * MIB)).rejects.toMatchObject({
      code: 'TSB_FILESYSTEM',
      message: expect.stringMatching(
        /ext4 filesystem on partition 3 is damaged \(e2fsck status 4\):\n.*UNEXPECTED INCONSISTENCY/s,
      ) as string,
    });
  });

  it('works when the path has characters that mean something to e2fsprogs', async () => {
    makeDisk(before, 32 * MIB, 'label: dos\n1 : start=2048, type=83\n');
    makeExt(before, placeOf(before, 1));
    const made = await plan(64 * MIB);
    const odd = join(folder, 'my disk?offset=7.img');
    applyPlan(made, before, odd);
    const [result] = await growFilesystems(made, odd, { progress: silentProgress, sync: true });
    expect(result!.newSize).toBe(63 * MIB);
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('tsbuilder-link-'))).toEqual([]);
  });

  it('notices when resize2fs cuts the disk off', async () => {
    makeDisk(before, 32 * MIB, 'label: dos\n1 : start=2048, type=83\n');
    makeExt(before, placeOf(before, 1));
    const fake = join(folder, 'resize2fs');
    writeFileSync(fake, '#!/bin/sh\nexec truncate -s 63M "${1%%\\?*}"\n');
    chmodSync(fake, 0o755);
    const path = process.env['PATH'];
    process.env['PATH'] = `${folder}${delimiter}${path ?? ''}`;
    try {
      await expect(resize(64 * MIB)).rejects.toMatchObject({
        code: 'TSB_TOOL_FAILED',
        details: { now: 63 * MIB, size: 64 * MIB },
      });
    } finally {
      process.env['PATH'] = path;
    }
  });

  it('does nothing for an aborted signal', async () => {
    makeDisk(before, 32 * MIB, 'label: dos\n1 : start=2048, type=83\n');
    makeExt(before, placeOf(before, 1));
    const made = await plan(64 * MIB);
    applyPlan(made, before, after);
    const signal = AbortSignal.abort(new Error('stop'));
    await expect(growFilesystems(made, after, { progress: silentProgress, signal })).rejects.toThrow('stop');
    expect((await content(after, made.grow[0]!)).size).toBe(31 * MIB);
  });
});

describe('growFilesystems without guestfish', () => {
  let path: string | undefined;
  afterEach(() => {
    process.env['PATH'] = path;
  });

  it('names the package before and instead of the work', async () => {
    makeSparse(before, 400 * MIB);
    run('mkfs.xfs', ['-q', before]);
    const made = await plan(900 * MIB);
    path = process.env['PATH'];
    process.env['PATH'] = folder;
    const missing = { code: 'TSB_TOOL_MISSING', hint: expect.stringContaining('libguestfs-tools') as string };
    await expect(assertGrowTools(made)).rejects.toMatchObject(missing);
    await expect(growFilesystems(made, before, { progress: silentProgress })).rejects.toMatchObject(missing);
  });

  it('does not ask for it where only ext grows', async () => {
    makeExt(makeSparse(before, 24 * MIB), { offset: 0, length: 24 * MIB });
    const made = await plan(64 * MIB);
    path = process.env['PATH'];
    process.env['PATH'] = folder;
    await expect(assertGrowTools(made)).resolves.toBeUndefined();
  });

  it('says what guestfish said when it fails', async () => {
    makeSparse(before, 400 * MIB);
    run('mkfs.xfs', ['-q', before]);
    const made = await plan(900 * MIB);
    const fake = join(folder, 'guestfish');
    writeFileSync(fake, '#!/bin/sh\necho "libguestfs: error: mount: no such thing" >&2\nexit 1\n');
    chmodSync(fake, 0o755);
    path = process.env['PATH'];
    process.env['PATH'] = `${folder}${delimiter}${path}`;
    await expect(growFilesystems(made, before, { progress: silentProgress })).rejects.toMatchObject({
      code: 'TSB_FILESYSTEM',
      message: expect.stringContaining(
        'xfs on the disk could not be grown by guestfish: libguestfs: error: mount',
      ) as string,
    });
    writeFileSync(fake, '#!/bin/sh\nexit 0\n');
    await expect(growFilesystems(made, before, { progress: silentProgress })).rejects.toThrow(
      /the xfs on the disk has 400 MiB .* after growing it to 900 MiB/,
    );
  });
});

describe('growFilesystems in a swap area', () => {
  it.each([4096, 65536])('keeps a page size of %d', async (pageSize) => {
    makeDisk(before, 16 * MIB, 'label: dos\n1 : start=2048, type=82\n');
    makeSwap(before, placeOf(before, 1), pageSize);
    await resize(40 * MIB + 300 * KIB, { expand: '1' });
    const { offset, length } = placeOf(after, 1);
    expect(peek(after, offset, pageSize).equals(swapHeader(join(folder, 's'), length, pageSize))).toBe(true);
  });

  it('does not take anything else for one', async () => {
    makeDisk(before, 16 * MIB, 'label: dos\n1 : start=2048, type=82\n');
    makeSwap(before, placeOf(before, 1));
    const made = await plan(40 * MIB, { expand: '1' });
    applyPlan(made, before, after);
    patch(after, made.grow[0]!.offset + 4086, Buffer.alloc(10));
    await expect(growFilesystems(made, after, { progress: silentProgress })).rejects.toThrow(
      /no swap header/,
    );
  });
});
