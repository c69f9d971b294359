import { crc32 } from 'node:zlib';
import type { ByteSource } from '../io/byte-source.js';
import { asBuffer, readGuid, readU64 } from '../probe/bytes.js';
import { type GptTable, type Partition, type Range, endOf } from './partition.js';
import { assertLayout, tableError } from './table-error.js';

/** What is read before it is known what the disk holds: both tables of nearly every disk are in here. */
export interface DiskHead {
  readonly source: ByteSource;
  readonly data: Buffer;
  readonly signal?: AbortSignal | undefined;
}

const SIGNATURE = 'EFI PART';
const MIN_HEADER = 92;
const MIN_ENTRY = 128;
// The specification asks for 16 KiB; more than this is an attempt to fill memory.
const MAX_ENTRIES_BYTES = 4 * 1024 * 1024;
const MBR_ENTRIES = 446;
const UNUSED_TYPE = Buffer.alloc(16);

/**
 * Reads a GUID partition table (UEFI specification 2.10, section 5.3), or returns undefined when the disk has none.
 *
 * The backup is only looked at when the primary table is damaged: it lies at the end of the disk, which a template that is
 * still being downloaded does not have yet.
 *
 * @throws TSB_PARTITION_TABLE when a protective MBR is there but neither table is intact, and for partitions that overlap
 *   or lie outside the usable sectors
 */
export async function readGpt(head: DiskHead, sectorSizes: readonly number[]): Promise<GptTable | undefined> {
  const protective = protectiveEntries(head.data);
  if (protective === undefined) return undefined;
  const problems: string[] = [];
  for (const sectorSize of sectorSizes) {
    const found = await readHeader({ head, sectorSize, lba: 1 }, problems);
    if (found) return tableOf(head, found);
  }
  if (protective.length === 0) return undefined;
  for (const place of backupPlaces(head, sectorSizes, protective)) {
    const found = await readHeader(place, problems);
    if (found) return tableOf(head, found);
  }
  throw tableError(
    head.source.name,
    `the GPT and its backup are both damaged (${problems[0] ?? 'no header found'})`,
  );
}

interface Place {
  readonly head: DiskHead;
  readonly sectorSize: number;
  readonly lba: number;
}

interface Geometry {
  readonly alternateLba: number;
  readonly firstUsableLba: number;
  readonly lastUsableLba: number;
  readonly entriesLba: number;
  readonly entryCount: number;
  readonly entrySize: number;
}

interface Found extends Place, Geometry {
  readonly header: Buffer;
  readonly entries: Buffer;
}

interface MbrEntry {
  readonly start: number;
  readonly sectors: number;
}

/**
 * The 0xEE entries of the MBR. Undefined means that there is no GPT, whatever the next sector says: the disk was given
 * an MBR table later. Without a boot signature or with an empty table the protective MBR may have been lost.
 */
function protectiveEntries(data: Buffer): readonly MbrEntry[] | undefined {
  if (data.length < 1024) return undefined;
  if (data.readUInt16LE(510) !== 0xaa55) return [];
  const slots = [0, 1, 2, 3].map((index) => MBR_ENTRIES + 16 * index);
  const used = slots.filter((at) => data.readUInt8(at + 4) !== 0);
  const protective = used.filter((at) => data.readUInt8(at + 4) === 0xee);
  if (protective.length === 0 && used.length > 0) return undefined;
  return protective.map((at) => ({ start: data.readUInt32LE(at + 8), sectors: data.readUInt32LE(at + 12) }));
}

/** The last sector of the disk, and the last one that the protective MBR knew before the disk was enlarged. */
function backupPlaces(
  head: DiskHead,
  sectorSizes: readonly number[],
  protective: readonly MbrEntry[],
): Place[] {
  return sectorSizes.flatMap((sectorSize) => {
    const last = Math.floor(head.source.size / sectorSize) - 1;
    const known = protective.map(({ start, sectors }) => start + sectors - 1);
    return [...new Set([last, ...known])]
      .filter((lba) => lba > 1 && lba <= last)
      .map((lba) => ({ head, sectorSize, lba }));
  });
}

async function readRange(head: DiskHead, range: Range): Promise<Buffer> {
  const { offset, length } = range;
  if (offset + length <= head.data.length) return head.data.subarray(offset, offset + length);
  return asBuffer(await head.source.read(offset, length, head.signal));
}

/** The table that the header at `place` describes; undefined, with the reason in `problems`, when it is not intact. */
async function readHeader(place: Place, problems: string[]): Promise<Found | undefined> {
  const { head, sectorSize, lba } = place;
  if (lba >= Math.floor(head.source.size / sectorSize)) return undefined;
  const found = await readRange(head, { offset: lba * sectorSize, length: sectorSize });
  const header = Buffer.from(found);
  if (header.toString('latin1', 0, 8) !== SIGNATURE) return undefined;
  const geometry = checkHeader(header, place);
  const table = typeof geometry === 'string' ? geometry : await readEntries(place, { ...geometry, header });
  if (typeof table !== 'string') return table;
  problems.push(`${lba === 1 ? 'primary' : 'backup'} header: ${table}`);
  return undefined;
}

async function readEntries(place: Place, header: Geometry & { header: Buffer }): Promise<Found | string> {
  const { entriesLba, entryCount, entrySize } = header;
  const range = { offset: entriesLba * place.sectorSize, length: entryCount * entrySize };
  const entries = Buffer.from(await readRange(place.head, range));
  if (crc32(entries) !== header.header.readUInt32LE(88)) return 'wrong CRC of the partition entries';
  return { ...place, ...header, entries };
}

/** The CRC of a header, computed with its own field taken as zero. */
export function headerCrc(header: Buffer, headerSize: number): number {
  const copy = Buffer.from(header.subarray(0, headerSize));
  copy.writeUInt32LE(0, 16);
  return crc32(copy);
}

/** The numbers of a header, or what is wrong with it. */
function checkHeader(header: Buffer, place: Place): Geometry | string {
  const headerSize = header.readUInt32LE(12);
  if (headerSize < MIN_HEADER || headerSize > place.sectorSize) return `size ${headerSize}`;
  if (headerCrc(header, headerSize) !== header.readUInt32LE(16)) return 'wrong CRC';
  if (readU64(header, 24) !== place.lba) return `says it belongs in sector ${readU64(header, 24)}`;
  return checkGeometry(header, place);
}

function checkGeometry(header: Buffer, { lba, sectorSize, head }: Place): Geometry | string {
  const alternateLba = readU64(header, 32);
  const firstUsableLba = readU64(header, 40);
  const lastUsableLba = readU64(header, 48);
  const entriesLba = readU64(header, 72);
  const entryCount = header.readUInt32LE(80);
  const entrySize = header.readUInt32LE(84);
  if (entrySize < MIN_ENTRY || entrySize % 8 !== 0 || entryCount * entrySize > MAX_ENTRIES_BYTES)
    return `${entryCount} entries of ${entrySize} bytes`;
  const entrySectors = Math.ceil((entryCount * entrySize) / sectorSize);
  const primary = lba === 1;
  const [low, high] = primary ? [lba + 1, firstUsableLba] : [lastUsableLba + 1, lba];
  if (
    entriesLba < low ||
    entriesLba + entrySectors > Math.min(high, Math.floor(head.source.size / sectorSize))
  )
    return `entries in sector ${entriesLba}, ${entrySectors} sectors long, usable are ${firstUsableLba}-${lastUsableLba}`;
  if (firstUsableLba > lastUsableLba + 1 || firstUsableLba < 2 + (primary ? 0 : entrySectors))
    return `usable sectors ${firstUsableLba}-${lastUsableLba}`;
  return { alternateLba, firstUsableLba, lastUsableLba, entriesLba, entryCount, entrySize };
}

function tableOf(head: DiskHead, found: Found): GptTable {
  const { sectorSize, header, entries, entrySize, firstUsableLba, lastUsableLba } = found;
  const fromBackup = found.lba !== 1;
  const partitions = parseEntries(found);
  const lastSector = Math.min(lastUsableLba, Math.floor(head.source.size / sectorSize) - 1);
  assertLayout(head.source.name, partitions, {
    offset: firstUsableLba * sectorSize,
    length: (lastSector + 1 - firstUsableLba) * sectorSize,
  });
  return {
    kind: 'gpt',
    sectorSize,
    partitions,
    notes: notesOf(head, fromBackup),
    mbr: Buffer.from(head.data.subarray(0, 512)),
    occupied: occupiedBy(found, head.source.size),
    diskGuid: readGuid(header, 56),
    header,
    entries,
    entrySize,
    entriesLba: fromBackup ? 2 : found.entriesLba,
    firstUsableLba,
    fromBackup,
  };
}

function parseEntries(found: Found): Partition[] {
  const { entries, entrySize, sectorSize } = found;
  const partitions: Partition[] = [];
  for (let at = 0; at + entrySize <= entries.length; at += entrySize) {
    const entry = entries.subarray(at, at + entrySize);
    if (UNUSED_TYPE.equals(entry.subarray(0, 16))) continue;
    const number = at / entrySize + 1;
    const first = readU64(entry, 32);
    const last = readU64(entry, 40);
    if (first > last || last > Number.MAX_SAFE_INTEGER / sectorSize)
      throw tableError(found.head.source.name, `partition ${number} has sectors ${first} to ${last}`);
    partitions.push({
      number,
      role: 'primary',
      offset: first * sectorSize,
      length: (last - first + 1) * sectorSize,
      type: readGuid(entry, 0),
      guid: readGuid(entry, 16),
      name: entry.toString('utf16le', 56, 128).replace(/\0[^]*$/, ''),
    });
  }
  return partitions;
}

/** Both copies of the table. Where the backup should be is computed, not read: see {@link readGpt}. */
function occupiedBy(found: Found, diskSize: number): Range[] {
  const { sectorSize, lastUsableLba } = found;
  const count = Math.ceil(found.entries.length / sectorSize);
  const fromBackup = found.lba !== 1;
  const backup = fromBackup ? found.lba : found.alternateLba;
  const backupEntries = fromBackup ? found.entriesLba : backup - count;
  const behind = [
    { lba: backupEntries, count },
    { lba: backup, count: 1 },
  ].filter(({ lba }) => lba > lastUsableLba);
  return [{ lba: 1, count: 1 }, { lba: fromBackup ? 2 : found.entriesLba, count }, ...behind]
    .map(({ lba, count }) => ({ offset: lba * sectorSize, length: count * sectorSize }))
    .filter((range) => range.length > 0 && endOf(range) <= diskSize)
    .concat({ offset: 0, length: 512 });
}

function notesOf(head: DiskHead, fromBackup: boolean): string[] {
  const { data } = head;
  const types = [0, 1, 2, 3].map((index) => data.readUInt8(MBR_ENTRIES + 16 * index + 4));
  const notes: string[] = [];
  if (fromBackup) notes.push('The primary GPT is damaged; its backup was used.');
  if (data.readUInt16LE(510) !== 0xaa55 || !types.includes(0xee))
    notes.push('The protective MBR is missing.');
  else if (types.some((type) => type !== 0 && type !== 0xee))
    notes.push('The disk has a hybrid MBR: its entries follow the partitions that move.');
  return notes;
}
