import { crc32 } from 'node:zlib';
import { chsOf, writeEntry } from './chs.js';
import { headerCrc } from './gpt.js';
import type { GptTable } from './partition.js';
import { type Literal, type Relocation, movedOffset, movedPartition } from './relocation.js';
import { tableError } from './table-error.js';

const MBR_ENTRIES = 446;
const MAX_U32 = 0xffffffff;

/** First byte of the backup table on a disk of `targetSize` bytes: partitions must end in front of it. */
export function backupStart(table: GptTable, targetSize: number): number {
  const { sectorSize, entries } = table;
  const sectors = Math.floor(targetSize / sectorSize) - 1 - Math.ceil(entries.length / sectorSize);
  return sectors * sectorSize;
}

/**
 * The parts of `table` for the new disk: protective MBR, primary header and entries, backup entries and header (UEFI
 * specification 2.10, 5.2.3 and 5.3.2). Entry order, GUIDs, names, attributes and bytes that nobody has given a meaning yet are kept.
 *
 * @throws TSB_PARTITION_TABLE when an entry of a hybrid MBR would no longer fit into 32 bits
 */
export function writeGpt(name: string, table: GptTable, move: Relocation): Literal[] {
  const { sectorSize } = table;
  const lastLba = Math.floor(move.targetSize / sectorSize) - 1;
  const entries = movedEntries(table, move);
  const backupEntriesLba = backupStart(table, move.targetSize) / sectorSize;
  const lastUsableLba = backupEntriesLba - 1;
  const common = { lastUsableLba, entriesCrc: crc32(entries) };
  const primary = { ...common, lba: 1, alternateLba: lastLba, entriesLba: table.entriesLba };
  const backup = { ...common, lba: lastLba, alternateLba: 1, entriesLba: backupEntriesLba };
  return [
    { offset: 0, data: movedProtectiveMbr(name, table, move) },
    { offset: sectorSize, data: headerFor(table, primary) },
    { offset: table.entriesLba * sectorSize, data: entries },
    { offset: backupEntriesLba * sectorSize, data: entries },
    { offset: lastLba * sectorSize, data: headerFor(table, backup) },
  ].filter(({ data }) => data.length > 0);
}

function movedEntries(table: GptTable, move: Relocation): Buffer {
  const entries = Buffer.from(table.entries);
  for (const partition of table.partitions) {
    const at = (partition.number - 1) * table.entrySize;
    const { offset, length } = movedPartition(move, partition);
    entries.writeBigUInt64LE(BigInt(offset / table.sectorSize), at + 32);
    entries.writeBigUInt64LE(BigInt((offset + length) / table.sectorSize - 1), at + 40);
  }
  return entries;
}

interface HeaderFields {
  readonly lba: number;
  readonly alternateLba: number;
  readonly lastUsableLba: number;
  readonly entriesLba: number;
  readonly entriesCrc: number;
}

function headerFor(table: GptTable, fields: HeaderFields): Buffer {
  const header = Buffer.from(table.header);
  header.writeBigUInt64LE(BigInt(fields.lba), 24);
  header.writeBigUInt64LE(BigInt(fields.alternateLba), 32);
  header.writeBigUInt64LE(BigInt(fields.lastUsableLba), 48);
  header.writeBigUInt64LE(BigInt(fields.entriesLba), 72);
  header.writeUInt32LE(fields.entriesCrc, 88);
  header.writeUInt32LE(headerCrc(header, header.readUInt32LE(12)), 16);
  return header;
}

/** The MBR with its 0xEE entry up to the new end; other entries (a hybrid MBR) follow their partitions. */
function movedProtectiveMbr(name: string, table: GptTable, move: Relocation): Buffer {
  const mbr = Buffer.from(table.mbr);
  const slots = [0, 1, 2, 3].map((index) => MBR_ENTRIES + 16 * index);
  const used = slots.filter((at) => mbr.readUInt8(at + 4) !== 0);
  if (mbr.readUInt16LE(510) !== 0xaa55 || used.length === 0) return newProtectiveMbr(table, move);
  const protective = used.filter((at) => mbr.readUInt8(at + 4) === 0xee);
  const hybrid = used.filter((at) => mbr.readUInt8(at + 4) !== 0xee);
  for (const at of hybrid) moveHybridEntry(name, { mbr, at }, { table, move });
  // Beside hybrid entries, a 0xEE entry in front of the partition that grows only covers what does not change.
  const last = protective.filter(
    (at) => hybrid.length === 0 || mbr.readUInt32LE(at + 8) * table.sectorSize >= move.split,
  );
  for (const at of last) extendProtective(mbr, at, { table, move });
  return mbr;
}

function newProtectiveMbr(table: GptTable, move: Relocation): Buffer {
  const mbr = Buffer.from(table.mbr);
  mbr.fill(0, MBR_ENTRIES, 510);
  mbr.writeUInt8(0xee, MBR_ENTRIES + 4);
  mbr.writeUInt32LE(1, MBR_ENTRIES + 8);
  mbr.writeUInt16LE(0xaa55, 510);
  extendProtective(mbr, MBR_ENTRIES, { table, move });
  return mbr;
}

function extendProtective(mbr: Buffer, at: number, { table, move }: Change): void {
  const lastLba = Math.floor(move.targetSize / table.sectorSize) - 1;
  const start = movedOffset(move, mbr.readUInt32LE(at + 8) * table.sectorSize) / table.sectorSize;
  chsOf(start).copy(mbr, at + 1);
  mbr.writeUInt32LE(start, at + 8);
  mbr.writeUInt32LE(Math.min(MAX_U32, lastLba - start + 1), at + 12);
  chsOf(lastLba, [0xff, 0xff, 0xff]).copy(mbr, at + 5);
}

interface Change {
  readonly table: GptTable;
  readonly move: Relocation;
}

function moveHybridEntry(name: string, { mbr, at }: { mbr: Buffer; at: number }, change: Change): void {
  const { sectorSize } = change.table;
  const first = mbr.readUInt32LE(at + 8) * sectorSize;
  const end = first + mbr.readUInt32LE(at + 12) * sectorSize;
  const start = movedOffset(change.move, first) / sectorSize;
  const sectors = movedOffset(change.move, end) / sectorSize - start;
  if (start === first / sectorSize && sectors === (end - first) / sectorSize) return;
  if (start + sectors > MAX_U32)
    throw tableError(
      name,
      `an entry of the hybrid MBR would end in sector ${start + sectors}, beyond 32 bits`,
    );
  writeEntry(mbr, at, { start, sectors });
}
