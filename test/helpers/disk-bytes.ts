import { crc32 } from 'node:zlib';
import { MIB } from './disk.js';

/** A GPT that no tool would make: written here, independently of the code under test. */
export interface GptRecipe {
  readonly sectorSize: number;
  readonly entrySize: number;
  readonly entryCount: number;
  /** First and last sector of each partition; default: 1 to 2 MiB and 3 to 4 MiB. */
  readonly spans?: readonly (readonly [number | bigint, number | bigint])[];
  /** Entry count that the headers claim; default: the true one. */
  readonly claimedCount?: number;
}

/** An 8 MiB disk with both copies of the table. Partition 1 and so on have GUIDs full of their number. */
export function gptDisk(recipe: GptRecipe): Buffer {
  const { sectorSize, entrySize, entryCount } = recipe;
  const disk = Buffer.alloc(8 * MIB);
  const mib = MIB / sectorSize;
  const spans = recipe.spans ?? [
    [mib, 2 * mib - 1],
    [3 * mib, 4 * mib - 1],
  ];
  const entries = Buffer.alloc(entrySize * entryCount);
  for (const [index, [first, last]] of spans.entries()) {
    const entry = entries.subarray(index * entrySize, (index + 1) * entrySize);
    entry.fill(0x11, 0, 16).fill(index + 1, 16, 32);
    entry.writeBigUInt64LE(BigInt(first), 32);
    entry.writeBigUInt64LE(BigInt(last), 40);
    entry.write(`name ${index + 1}`, 56, 'utf16le');
    entry.fill(0xcc, 128);
  }
  const last = disk.length / sectorSize - 1;
  const sectors = Math.ceil(entries.length / sectorSize);
  const usable = { first: 2 + sectors, last: last - sectors - 1 };
  disk.writeUInt8(0xee, 450);
  disk.writeUInt32LE(1, 454);
  disk.writeUInt32LE(last, 458);
  disk.writeUInt16LE(0xaa55, 510);
  const headers = [
    { lba: 1, other: last, at: 2 },
    { lba: last, other: 1, at: last - sectors },
  ];
  for (const { lba, other, at } of headers) {
    const header = disk.subarray(lba * sectorSize, lba * sectorSize + 92);
    header.write('EFI PART', 0, 'latin1');
    header.writeUInt32LE(0x10000, 8);
    header.writeUInt32LE(92, 12);
    for (const [offset, value] of [
      [24, lba],
      [32, other],
      [40, usable.first],
      [48, usable.last],
      [72, at],
    ] as const)
      header.writeBigUInt64LE(BigInt(value), offset);
    header.fill(0xdd, 56, 72);
    header.writeUInt32LE(recipe.claimedCount ?? entryCount, 80);
    header.writeUInt32LE(entrySize, 84);
    header.writeUInt32LE(crc32(entries), 88);
    header.writeUInt32LE(crc32(header), 16);
    entries.copy(disk, at * sectorSize);
  }
  return disk;
}

/** The 1024 bytes of an ext2 superblock that claims `size` bytes; they belong 1024 bytes into the partition. */
export function fakeExt(size: number): Buffer {
  const superblock = Buffer.alloc(1024);
  superblock.writeUInt32LE(Math.floor(size / 1024), 4);
  superblock.writeUInt16LE(0xef53, 56);
  return superblock;
}
