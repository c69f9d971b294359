import type { SearchedFile } from '../customize/replace-ids.js';
import type { ByteSource } from '../io/byte-source.js';

/** GRUB's program for BIOS machines as it lies on a disk. */
export type EmbeddedGrub =
  | { readonly kind: 'none' }
  /** It is there, but not as it is known. */
  | { readonly kind: 'unknown'; readonly why: string }
  /** Its compressed part as an LZMA file, which `openUnpacked` reads: the one of these that can be unpacked. */
  | { readonly kind: 'core'; readonly packed: readonly SearchedFile[] };

const SECTOR = 512;
const CODE = 440;
// GRUB 2: include/grub/i386/pc/boot.h, include/grub/offsets.h, grub-core/boot/i386/pc/{diskboot,startup_raw}.S
const KERNEL_SECTOR = 0x5c;
const BLOCK_LIST = SECTOR - 12;
const COMPRESSED = SECTOR + 0x8;
const UNCOMPRESSED = SECTOR + 0xc;
const REDUNDANCY = SECTOR + 0x10;
/** More than GRUB can load. */
const MAX_CORE = 1024 * 1024;

/**
 * GRUB's `core.img` in front of the first partition or in a BIOS boot partition. The settings that are built into it, which may name
 * a filesystem by its UUID, are in its compressed part.
 */
export async function readEmbeddedGrub(disk: ByteSource, signal?: AbortSignal): Promise<EmbeddedGrub> {
  if (disk.size < SECTOR) return { kind: 'none' };
  const boot = Buffer.from(await disk.read(0, SECTOR, signal));
  if (!boot.toString('latin1', 0, CODE).includes('GRUB')) return { kind: 'none' };
  const unknown = (why: string): EmbeddedGrub => ({ kind: 'unknown', why });
  const at = Number(boot.readBigUInt64LE(KERNEL_SECTOR)) * SECTOR;
  if (at === 0 || at + 2 * SECTOR > disk.size) return unknown(`its second part is not on the disk`);
  const head = Buffer.from(await disk.read(at, 2 * SECTOR, signal));
  const sectors = head.readUInt16LE(BLOCK_LIST + 8);
  const isOnePiece =
    Number(head.readBigUInt64LE(BLOCK_LIST)) * SECTOR === at + SECTOR &&
    head.readUInt16LE(BLOCK_LIST - 4) === 0;
  if (!isOnePiece) return unknown('it is not in one piece');
  const size = head.readUInt32LE(COMPRESSED);
  const end = at + (sectors + 1) * SECTOR;
  if (size > MAX_CORE || size + 2 * SECTOR > end - at || end > disk.size)
    return unknown('its sizes cannot be');
  const core = Buffer.from(await disk.read(at, end - at, signal));
  const starts = dataStarts(core, size, head.readUInt32LE(REDUNDANCY));
  const unpackedSize = head.readUInt32LE(UNCOMPRESSED);
  return {
    kind: 'core',
    packed: starts.map((from) => lzmaFile(core.subarray(from, from + size), unpackedSize)),
  };
}

/**
 * Where the compressed part may begin, which is written nowhere: behind a decompressor of whole 16 bytes, so that the end is in the last
 * sector, or in the last one without the bytes that correct errors. LZMA data begin with a zero.
 */
function dataStarts(core: Buffer, size: number, redundancy: number): number[] {
  const starts = new Set<number>();
  for (const end of [core.length, core.length - redundancy]) {
    const last = end - size;
    for (let at = last - (last % 16); at > last - SECTOR; at -= 16)
      if (at > 2 * SECTOR && core[at] === 0) starts.add(at);
  }
  return [...starts];
}

/** Raw LZMA data with GRUB's parameters (lc 3, lp 0, pb 2, a dictionary of 64 KiB) behind the header of an `.lzma` file. */
function lzmaFile(data: Buffer, unpackedSize: number): SearchedFile {
  const header = Buffer.alloc(13);
  header.writeUInt8(0x5d, 0);
  header.writeUInt32LE(64 * 1024, 1);
  header.writeBigUInt64LE(BigInt(unpackedSize), 5);
  const file = Buffer.concat([header, data]);
  return {
    label: "GRUB's program in front of the partitions",
    size: file.length,
    read: (offset, length) => Promise.resolve(Buffer.from(file.subarray(offset, offset + length))),
  };
}
