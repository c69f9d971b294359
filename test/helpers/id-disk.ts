import { truncateSync, writeFileSync } from 'node:fs';
import { MIB, type TreeSpec, makeTree, run, scratchPath } from './guest-image.js';
import { SMALL_DEBIAN } from './system-disk.js';

export const ROOT_UUID = '71292a41-f0ba-84af-9e54-93ecd2574119';
export const BOOT_UUID = '0a1b2c3d-1111-4222-8333-444455556666';
export const SWAP_UUID = '99999999-aaaa-4bbb-8ccc-dddddddddddd';
export const ESP_SERIAL = 'C9A4-30E8';

/** Where the partitions of a disk made here begin, in MiB. */
export const ESP_AT = 1;
export const BOOT_AT = 41;
export const ROOT_AT = 49;
export const SWAP_AT = 65;

const FSTAB = `# UUID=${ROOT_UUID}
UUID=${ROOT_UUID} / ext4 errors=remount-ro 0 1
/dev/disk/by-uuid/${BOOT_UUID} /boot ext4 defaults 0 2
UUID=${ESP_SERIAL} /boot/efi vfat umask=0077 0 1
UUID=${SWAP_UUID} none swap sw 0 0
`;

/** Makes a raw disk with an ESP, /boot, a root filesystem and swap; `boot` and `root` are files besides. */
export function makeIdDisk(more: { boot?: TreeSpec; root?: TreeSpec; label?: 'gpt' | 'dos' } = {}): string {
  const path = scratchPath('ids.img');
  writeFileSync(path, '');
  truncateSync(path, 80 * MIB);
  const [efi, linux] = more.label === 'dos' ? ['ef', '83'] : ['uefi', 'linux'];
  const parts = [efi, linux, linux, 'swap'];
  const sizes = [BOOT_AT - ESP_AT, ROOT_AT - BOOT_AT, SWAP_AT - ROOT_AT, 8];
  const lines = parts.map((type, index) => `size=${sizes[index]}MiB, type=${type}`);
  run('sfdisk', ['-q', path], `label: ${more.label ?? 'gpt'}\n${lines.join('\n')}\n`);
  put(path, ESP_AT, makeEsp());
  const config = `search.fs_uuid ${ROOT_UUID} root\nlinux /vmlinuz root=UUID=${ROOT_UUID} ro\n`;
  putExt(path, [BOOT_AT, 8, BOOT_UUID], { 'grub/grub.cfg': config, efi: { dir: 0o755 }, ...more.boot });
  const root = { ...SMALL_DEBIAN, 'etc/fstab': FSTAB, 'boot/efi': { dir: 0o755 }, ...more.root };
  putExt(path, [ROOT_AT, 16, ROOT_UUID], root);
  const swap = scratchPath('swap');
  writeFileSync(swap, Buffer.alloc(8 * MIB));
  run('mkswap', ['-q', '-U', SWAP_UUID, swap]);
  put(path, SWAP_AT, swap);
  return path;
}

function makeEsp(): string {
  const esp = scratchPath('esp');
  writeFileSync(esp, Buffer.alloc(40 * MIB));
  run('mkfs.vfat', ['-F', '32', '-s', '1', '-i', ESP_SERIAL.replace('-', ''), esp]);
  const config = scratchPath('grub.cfg');
  writeFileSync(config, `search.fs_uuid ${BOOT_UUID} root\nset prefix=($root)/grub\n`);
  run('mmd', ['-i', esp, '::/EFI', '::/EFI/debian']);
  run('mcopy', ['-i', esp, config, '::/EFI/debian/grub.cfg']);
  return esp;
}

function putExt(path: string, [at, mib, uuid]: readonly [number, number, string], tree: TreeSpec): void {
  const offset = `offset=${at * MIB},root_owner=0:0`;
  run('mke2fs', ['-q', '-F', '-t', 'ext4', '-U', uuid, '-E', offset, '-d', makeTree(tree), path, `${mib}M`]);
}

function put(path: string, at: number, content: string): void {
  run('dd', [`if=${content}`, `of=${path}`, 'bs=1M', `seek=${at}`, 'conv=notrunc,sparse', 'status=none']);
}

/** A cpio archive (newc) with one file, as it is in an initramfs. */
export function cpio(name: string, text: string): Buffer {
  return Buffer.concat([cpioEntry(name, text), cpioEntry('TRAILER!!!', '')]);
}

function cpioEntry(name: string, text: string): Buffer {
  const hex = (value: number): string => value.toString(16).padStart(8, '0');
  const fields = [1, 0o100644, 0, 0, 1, 0, text.length, 0, 0, 0, 0, name.length + 1, 0].map(hex).join('');
  const pad = (data: string): string => data.padEnd(Math.ceil(data.length / 4) * 4, '\0');
  return Buffer.from(pad(`070701${fields}${name}\0`) + pad(text), 'latin1');
}
