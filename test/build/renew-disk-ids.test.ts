import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type RenewedIds, renewDiskIds } from '../../src/build/renew-disk-ids.js';
import { seededRandom } from '../../src/io/random.js';
import { MIB, run, scratchPath } from '../helpers/guest-image.js';
import {
  BOOT_AT,
  BOOT_UUID,
  ESP_AT,
  ESP_SERIAL,
  ROOT_AT,
  ROOT_UUID,
  SWAP_AT,
  SWAP_UUID,
  cpio,
  makeIdDisk,
} from '../helpers/id-disk.js';
import { silentProgress } from '../../src/progress.js';

function renew(path: string, seed = 'seed'): Promise<RenewedIds> {
  const signal = new AbortController().signal;
  const random = seededRandom(seed);
  return renewDiskIds(path, {
    random,
    fakeTime: 1_800_000_000,
    sync: false,
    progress: silentProgress,
    signal,
  });
}

const hashOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
const blkid = (path: string, at: number): string =>
  run('blkid', ['-p', '-o', 'value', '-s', 'UUID', '-O', String(at * MIB), path]).trim();
const cat = (path: string, at: number, file: string): string =>
  run('debugfs', ['-R', `cat ${file}`, `${path}?offset=${at * MIB}`]);

/** Packs as an initramfs is packed. */
function packed(program: string, args: readonly string[], data: Buffer): Buffer {
  return execFileSync(program, args, { input: data });
}

async function expectRefused(path: string, where: RegExp): Promise<void> {
  const before = hashOf(path);
  await expect(renew(path)).rejects.toMatchObject({
    code: 'TSB_GUEST',
    message: expect.stringMatching(where) as string,
    details: { reason: 'disk-id' },
  });
  expect(hashOf(path)).toBe(before);
}

describe('renewDiskIds', () => {
  it('changes all ids, and the files that name them', async () => {
    const path = makeIdDisk({ boot: { 'initrd.img': packed('gzip', ['-c'], cpio('init', 'nothing')) } });
    const { ids, files } = await renew(path);
    expect(files).toEqual(['/etc/fstab', '/boot/grub/grub.cfg', '/EFI/debian/grub.cfg on partition 1']);
    const to = (from: string): string => ids.find((id) => id.from === from)!.to;
    expect(ids).toHaveLength(9);
    expect(blkid(path, ROOT_AT)).toBe(to(ROOT_UUID));
    expect(blkid(path, BOOT_AT)).toBe(to(BOOT_UUID));
    expect(blkid(path, SWAP_AT)).toBe(to(SWAP_UUID));
    expect(blkid(path, ESP_AT)).toBe(to(ESP_SERIAL));
    const fstab = cat(path, ROOT_AT, '/etc/fstab');
    for (const old of [ROOT_UUID, BOOT_UUID, ESP_SERIAL, SWAP_UUID]) {
      expect(fstab).not.toContain(old);
      expect(fstab).toContain(to(old));
    }
    expect(cat(path, BOOT_AT, '/grub/grub.cfg').split(to(ROOT_UUID))).toHaveLength(3);
    const esp = run('mtype', ['-i', `${path}@@${ESP_AT * MIB}`, '::/EFI/debian/grub.cfg']);
    expect(esp).toBe(`search.fs_uuid ${to(BOOT_UUID)} root\nset prefix=($root)/grub\n`);
  });

  it('leaves filesystems and tables that their own tools find sound', async () => {
    const path = makeIdDisk();
    const { ids } = await renew(path);
    for (const at of [BOOT_AT, ROOT_AT])
      expect(run('e2fsck', ['-fn', `${path}?offset=${at * MIB}`])).toContain('Pass 5');
    expect(run('sgdisk', ['-v', path])).toContain('No problems found');
    const esp = scratchPath('esp');
    writeFileSync(esp, readFileSync(path).subarray(ESP_AT * MIB, BOOT_AT * MIB));
    expect(run('fsck.vfat', ['-n', esp])).not.toContain('differences');
    const dump = run('sfdisk', ['-d', path]);
    const inTable = ids.filter(({ what }) => /^(the disk|partition \d)$/.test(what));
    expect(inTable).toHaveLength(5);
    for (const { from, to } of inTable) {
      expect(dump).toContain(to);
      expect(dump).not.toContain(from);
    }
  });

  it('makes the same disk from the same seed, another from another', async () => {
    const [one, two, three] = [makeIdDisk(), scratchPath('two.img'), scratchPath('three.img')];
    copyFileSync(one, two);
    copyFileSync(one, three);
    const first = await renew(one);
    expect(await renew(two)).toEqual(first);
    expect((await renew(three, 'other')).ids.map(({ to }) => to)).not.toEqual(first.ids.map(({ to }) => to));
    expect(run('cmp', [one, two])).toBe('');
  });

  it('changes the signature of an MBR where PARTUUIDs name it', async () => {
    const path = makeIdDisk({
      label: 'dos',
      boot: { 'loader/entries/a.conf': 'options root=PARTUUID=1234abcd-03\n' },
    });
    run('sfdisk', ['--disk-id', path, '0x1234abcd']);
    const { ids } = await renew(path);
    const { to } = ids.find(({ what }) => what === 'the disk')!;
    expect(run('sfdisk', ['--disk-id', path]).trim()).toBe(`0x${to}`);
    expect(cat(path, BOOT_AT, '/loader/entries/a.conf')).toBe(`options root=PARTUUID=${to}-03\n`);
  });

  it.each([
    ['nothing', 'cat', []],
    ['gzip', 'gzip', ['-c']],
    ['xz', 'xz', ['-c', '--check=crc32']],
    ['lzma', 'xz', ['-c', '--format=lzma']],
    ['zstd', 'zstd', ['-c', '-q']],
    ['lz4', 'lz4', ['-l', '-c', '-q']],
    ['bzip2', 'bzip2', ['-c']],
  ])('changes nothing when an initramfs packed with %s has an old id', async (_, program, args) => {
    const early = cpio('kernel/x86/microcode/GenuineIntel.bin', 'microcode');
    const main = packed(program, args, cpio('conf/resume', `RESUME=UUID=${SWAP_UUID}\n`));
    const path = makeIdDisk({ boot: { 'initrd.img-6.1': Buffer.concat([early, Buffer.alloc(512), main]) } });
    await expectRefused(path, /inside \/boot\/initrd\.img-6\.1: .*swap.*partition 4.*RESUME=UUID=99999999/);
  });

  it.each([
    ['a binary file', { 'grub/x86_64-efi/core.efi': Buffer.from(`MZ\0\0${ROOT_UUID}\0`) }, /core\.efi/],
    [
      'a damaged initramfs',
      { 'initrd.img': Buffer.from('1f8b080000000000ff00', 'hex') },
      /cannot be searched/,
    ],
    ['the name of a file', { [`loader/${ROOT_UUID}.conf`]: 'x' }, /in its name/],
    ['the target of a link', { root: { link: `/dev/disk/by-uuid/${ROOT_UUID}` } }, /target of the link/],
    ['a unified kernel', { 'EFI/Linux/a.efi': Buffer.from('MZ\0\0.linux\0\0.initrd\0') }, /unified kernel/],
  ])('changes nothing when an old id is in %s', async (_, boot, where) => {
    await expectRefused(makeIdDisk({ boot }), where);
  });

  it("looks into the settings that are built into GRUB's program for BIOS machines", async () => {
    const path = makeIdDisk();
    embedGrub(path, 'set prefix=(hd0,gpt3)/boot/grub');
    await renew(path);
    const other = makeIdDisk();
    embedGrub(other, `search.fs_uuid ${ROOT_UUID} root`);
    await expectRefused(other, /GRUB's program for BIOS machines: .*partition 3/);
    writeFileSync(other, readFileSync(other).fill(0x55, 40 * 512 + 3400, 50 * 512));
    await expectRefused(other, /GRUB/);
  });

  it('changes nothing where a filesystem is of another kind, or two have one id', async () => {
    const path = makeIdDisk();
    const disk = readFileSync(path);
    writeFileSync(path, Buffer.from(disk).fill('LUKS\xba\xbe', SWAP_AT * MIB, SWAP_AT * MIB + 6, 'latin1'));
    await expectRefused(path, /partition 4 holds crypto_LUKS/);
    run('mkswap', ['-q', '-U', ROOT_UUID, swapOf(disk)]);
    writeFileSync(path, disk);
    run('dd', [`if=${swapPath}`, `of=${path}`, 'bs=1M', `seek=${SWAP_AT}`, 'conv=notrunc', 'status=none']);
    await expectRefused(path, /have the same one/);
  });
});

const swapPath = scratchPath('swap');
function swapOf(disk: Buffer): string {
  writeFileSync(swapPath, disk.subarray(SWAP_AT * MIB, (SWAP_AT + 8) * MIB));
  return swapPath;
}

/** Puts what GRUB's core.img looks like into sectors 40 and following: see grub-core/boot/i386/pc. */
function embedGrub(path: string, settings: string): void {
  const text = Buffer.from(`${'grub kernel '.repeat(500)}${settings}\0`);
  const args = ['-c', '--format=lzma', '--lzma1=dict=64KiB,lc=3,lp=0,pb=2'];
  const lzma = packed('xz', args, text).subarray(13);
  const begin = 512 + 2848;
  const core = Buffer.alloc(Math.ceil((begin + lzma.length) / 512) * 512);
  lzma.copy(core, begin);
  core.writeBigUInt64LE(41n, 500);
  core.writeUInt16LE(core.length / 512 - 1, 508);
  core.writeUInt32LE(lzma.length, 520);
  core.writeUInt32LE(text.length, 524);
  const disk = readFileSync(path);
  disk.write('GRUB', 384);
  disk.writeBigUInt64LE(40n, 0x5c);
  core.copy(disk, 40 * 512);
  writeFileSync(path, disk);
}
