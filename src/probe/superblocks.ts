import { readText, readU64, readU64BE, readUuid } from './bytes.js';

/** What a partition holds, as far as its first bytes tell. */
export interface Content {
  readonly kind:
    | 'ext'
    | 'swap'
    | 'xfs'
    | 'btrfs'
    | 'lvm-pv'
    | 'ntfs'
    | 'fat'
    | 'luks'
    | 'iso9660'
    | 'squashfs'
    | 'unknown';
  /** The name people know: `ext4`, `vfat`, `crypto_LUKS`, `unknown`. */
  readonly name: string;
  /** Bytes that the content itself claims to occupy. */
  readonly size?: number | undefined;
  /** Unallocated bytes, where the first bytes tell. */
  readonly freeBytes?: number | undefined;
  /** Filesystem block, swap page or cluster size in bytes. */
  readonly blockSize?: number | undefined;
  readonly uuid?: string | undefined;
  readonly label?: string | undefined;
  /** Features worth knowing: `64bit`, `has_journal`, `needs_recovery`, ... */
  readonly features?: readonly string[] | undefined;
  /** Why this one cannot be grown although its kind can. */
  readonly obstacle?: string | undefined;
}

/** One magic number: where it is, and what to make of the bytes there. `data` starts at the partition's first byte. */
interface Probe {
  /** Bytes from the start of the partition that `parse` needs. */
  readonly needs: number;
  readonly parse: (data: Buffer) => Content | undefined;
}

/** Probes that look at the first 4 KiB only. */
export const NEAR_PROBES: readonly Probe[] = [
  { needs: 208, parse: luks },
  { needs: 152, parse: xfs },
  { needs: 512, parse: ntfs },
  { needs: 48, parse: squashfs },
  { needs: 2048, parse: lvm },
  { needs: 2048, parse: ext },
  { needs: 4096, parse: (data) => swap(data, 4096) },
  { needs: 512, parse: fat },
];

/** Probes that look further, up to 68 KiB. */
export const FAR_PROBES: readonly Probe[] = [
  { needs: 66560, parse: btrfs },
  { needs: 34816, parse: iso9660 },
  { needs: 16384, parse: (data) => swap(data, 16384) },
  { needs: 65536, parse: (data) => swap(data, 65536) },
];

function luks(data: Buffer): Content | undefined {
  if (data.toString('latin1', 0, 6) !== 'LUKS\xba\xbe') return undefined;
  return { kind: 'luks', name: 'crypto_LUKS', uuid: readText(data, 168, 40) };
}

/** XFS superblock, big-endian (XFS Algorithms and Data Structures, chapter 13.1). */
function xfs(data: Buffer): Content | undefined {
  if (data.toString('latin1', 0, 4) !== 'XFSB') return undefined;
  const blockSize = data.readUInt32BE(4);
  if (blockSize < 512 || blockSize > 65536) return undefined;
  return {
    kind: 'xfs',
    name: 'xfs',
    size: readU64BE(data, 8) * blockSize,
    freeBytes: readU64BE(data, 144) * blockSize,
    blockSize,
    uuid: readUuid(data, 32),
    label: readText(data, 108, 12),
  };
}

function ntfs(data: Buffer): Content | undefined {
  if (data.toString('latin1', 3, 11) !== 'NTFS    ') return undefined;
  const sectorSize = data.readUInt16LE(11);
  return {
    kind: 'ntfs',
    name: 'ntfs',
    size: readU64(data, 40) * sectorSize,
    blockSize: data.readUInt8(13) * sectorSize,
    uuid: Buffer.from(data.subarray(72, 80)).reverse().toString('hex').toUpperCase(),
  };
}

function squashfs(data: Buffer): Content | undefined {
  if (data.toString('latin1', 0, 4) !== 'hsqs') return undefined;
  return { kind: 'squashfs', name: 'squashfs', size: readU64(data, 40), blockSize: data.readUInt32LE(12) };
}

/** LVM2 label: in one of the first four sectors. Its volume group is read by `lvm.ts`. */
function lvm(data: Buffer): Content | undefined {
  for (let at = 0; at < 2048; at += 512) {
    const found =
      data.toString('latin1', at, at + 8) === 'LABELONE' &&
      data.toString('latin1', at + 24, at + 32) === 'LVM2 001';
    if (!found) continue;
    const header = at + data.readUInt32LE(at + 20);
    if (header + 40 > data.length) return undefined;
    return {
      kind: 'lvm-pv',
      name: 'LVM2_member',
      size: readU64(data, header + 32),
      uuid: data.toString('latin1', header, header + 32),
    };
  }
  return undefined;
}

const EXT_COMPAT: Record<number, string> = {
  0x4: 'has_journal',
  0x10: 'resize_inode',
  0x200: 'sparse_super2',
};
const EXT_INCOMPAT: Record<number, string> = {
  0x4: 'needs_recovery',
  0x8: 'journal_dev',
  0x10: 'meta_bg',
  0x40: 'extent',
  0x80: '64bit',
  0x200: 'flex_bg',
  0x10000: 'encrypt',
};
const EXT_RO_COMPAT: Record<number, string> = {
  0x1: 'sparse_super',
  0x8: 'huge_file',
  0x10: 'uninit_bg',
  0x200: 'bigalloc',
  0x400: 'metadata_csum',
};
const EXT4_ONLY = [
  'extent',
  '64bit',
  'flex_bg',
  'huge_file',
  'uninit_bg',
  'bigalloc',
  'metadata_csum',
  'encrypt',
];

function featuresOf(word: number, names: Record<number, string>): string[] {
  return Object.entries(names).flatMap(([bit, name]) => ((word & Number(bit)) === 0 ? [] : [name]));
}

/** ext2, ext3 and ext4 superblock (Linux, Documentation/filesystems/ext4/super.rst), 1024 bytes into the partition. */
function ext(data: Buffer): Content | undefined {
  const block = data.subarray(1024, 2048);
  if (block.readUInt16LE(56) !== 0xef53 || block.readUInt32LE(24) > 6) return undefined;
  const blockSize = 1024 << block.readUInt32LE(24);
  const features = [
    ...featuresOf(block.readUInt32LE(92), EXT_COMPAT),
    ...featuresOf(block.readUInt32LE(96), EXT_INCOMPAT),
    ...featuresOf(block.readUInt32LE(100), EXT_RO_COMPAT),
  ];
  const high = features.includes('64bit') ? 1 : 0;
  const count = (low: number, highAt: number): number =>
    block.readUInt32LE(low) + high * block.readUInt32LE(highAt) * 2 ** 32;
  const common = { blockSize, uuid: readUuid(block, 104), label: readText(block, 120, 16), features };
  if (features.includes('journal_dev')) return { kind: 'unknown', name: 'jbd', ...common };
  return {
    kind: 'ext',
    name: extName(features),
    size: count(4, 0x150) * blockSize,
    freeBytes: count(12, 0x158) * blockSize,
    ...common,
  };
}

function extName(features: readonly string[]): string {
  if (EXT4_ONLY.some((feature) => features.includes(feature))) return 'ext4';
  return features.includes('has_journal') ? 'ext3' : 'ext2';
}

/** Swap header (Linux, include/linux/swap.h), in the byte order of the machine that made it. */
function swap(data: Buffer, pageSize: number): Content | undefined {
  if (data.toString('latin1', pageSize - 10, pageSize) !== 'SWAPSPACE2') return undefined;
  const little = data.readUInt32LE(1024) === 1;
  const lastPage = little ? data.readUInt32LE(1028) : data.readUInt32BE(1028);
  return {
    kind: 'swap',
    name: 'swap',
    size: (lastPage + 1) * pageSize,
    blockSize: pageSize,
    uuid: readUuid(data, 1036),
    label: readText(data, 1052, 16),
  };
}

function fat(data: Buffer): Content | undefined {
  const is32 = data.toString('latin1', 82, 87) === 'FAT32';
  if (data.readUInt16LE(510) !== 0xaa55 || !(is32 || data.toString('latin1', 54, 57) === 'FAT'))
    return undefined;
  const sectorSize = data.readUInt16LE(11);
  const at = is32 ? 67 : 39;
  return {
    kind: 'fat',
    name: 'vfat',
    size: (data.readUInt16LE(19) || data.readUInt32LE(32)) * sectorSize,
    blockSize: data.readUInt8(13) * sectorSize,
    uuid: data
      .readUInt32LE(at)
      .toString(16)
      .toUpperCase()
      .padStart(8, '0')
      .replace(/^(.{4})/, '$1-'),
    label: fatLabel(readText(data, at + 4, 11)),
  };
}

/** What stands there where there is no label (Microsoft's FAT specification, BS_VolLab). */
function fatLabel(text: string): string {
  return text === 'NO NAME' ? '' : text;
}

/** btrfs superblock at 64 KiB (btrfs documentation, "On-disk format"). */
function btrfs(data: Buffer): Content | undefined {
  const block = data.subarray(65536, 66560);
  if (block.toString('latin1', 64, 72) !== '_BHRfS_M') return undefined;
  const devices = readU64(block, 0x88);
  return {
    kind: 'btrfs',
    name: 'btrfs',
    size: readU64(block, 0xd1),
    freeBytes: readU64(block, 0x70) - readU64(block, 0x78),
    blockSize: block.readUInt32LE(0x90),
    uuid: readUuid(block, 0x20),
    label: readText(block, 0x12b, 256),
    obstacle: devices === 1 ? undefined : `it spans ${devices} devices`,
  };
}

function iso9660(data: Buffer): Content | undefined {
  if (data.toString('latin1', 32769, 32774) !== 'CD001') return undefined;
  return {
    kind: 'iso9660',
    name: 'iso9660',
    size: data.readUInt32LE(32848) * 2048,
    blockSize: 2048,
    label: readText(data, 32808, 32),
  };
}
