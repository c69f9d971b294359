import type { DiskHead } from './gpt.js';
import { asBuffer } from '../probe/bytes.js';
import { type Ebr, type MbrTable, type Partition, type Range, endOf } from './partition.js';
import { assertLayout, span, tableError } from './table-error.js';

const ENTRIES = 446;
const ENTRY_SIZE = 16;
const BOOT_SIGNATURE = 0xaa55;
const EXTENDED_TYPES = [0x05, 0x0f, 0x85];
// More than any tool can make; the chain of a damaged disk can be endless.
const MAX_LOGICAL = 128;

interface Entry {
  readonly type: number;
  readonly start: number;
  readonly sectors: number;
}

/** Whether `data`, the start of a disk, has a DOS partition table and not just the boot sector of a filesystem. */
export function hasMbr(data: Buffer): boolean {
  if (data.length < 512 || data.readUInt16LE(510) !== BOOT_SIGNATURE) return false;
  const fat = data.toString('latin1', 54, 58) === 'FAT1' || data.toString('latin1', 82, 87) === 'FAT32';
  if (fat || data.toString('latin1', 3, 7) === 'NTFS') return false;
  const statuses = [0, 1, 2, 3].map((index) => data.readUInt8(ENTRIES + ENTRY_SIZE * index));
  return statuses.every((status) => status === 0 || status === 0x80);
}

/**
 * Reads a DOS partition table with its chain of extended boot records. Logical partitions are numbered from 5 in the order of
 * the chain, as Linux does.
 *
 * @throws TSB_PARTITION_TABLE for a chain that loops or leaves the extended partition, for partitions that overlap or lie
 *   outside the disk, and for forms that no current tool writes (two extended partitions, two logical ones in one record)
 */
export async function readMbr(head: DiskHead, sectorSize: number): Promise<MbrTable> {
  const { name } = head.source;
  const mbr = Buffer.from(head.data.subarray(0, 512));
  const primaries = entriesOf(mbr).flatMap((entry, index) =>
    isUsed(entry) ? [primaryOf(entry, index + 1, sectorSize)] : [],
  );
  const extended = primaries.filter(({ role }) => role === 'extended');
  if (extended.length > 1)
    throw tableError(
      name,
      `partitions ${extended.map(({ number }) => number).join(' and ')} are both extended`,
    );
  const usable = { offset: sectorSize, length: Math.floor(head.source.size / sectorSize - 1) * sectorSize };
  assertLayout(name, primaries, usable);
  const container = extended[0];
  const chain = container ? await readChain(head, container, sectorSize) : { ebrs: [], logicals: [] };
  const partitions = [...primaries, ...chain.logicals];
  assertLayout(name, partitions, usable);
  assertRecordsFree(name, chain.ebrs, chain.logicals);
  return {
    kind: 'mbr',
    sectorSize,
    partitions,
    notes: [],
    mbr,
    ebrs: chain.ebrs,
    occupied: [{ offset: 0, length: 512 }, ...chain.ebrs.map(({ offset }) => ({ offset, length: 512 }))],
  };
}

function entriesOf(sector: Buffer): Entry[] {
  return [0, 1, 2, 3].map((index) => {
    const at = ENTRIES + ENTRY_SIZE * index;
    return {
      type: sector.readUInt8(at + 4),
      start: sector.readUInt32LE(at + 8),
      sectors: sector.readUInt32LE(at + 12),
    };
  });
}

function isUsed({ type, sectors }: Entry): boolean {
  return type !== 0 && sectors !== 0;
}

function isExtended({ type }: Entry): boolean {
  return EXTENDED_TYPES.includes(type);
}

function typeName(type: number): string {
  return `0x${type.toString(16).padStart(2, '0')}`;
}

function primaryOf(entry: Entry, number: number, sectorSize: number): Partition {
  return {
    number,
    role: isExtended(entry) ? 'extended' : 'primary',
    type: typeName(entry.type),
    offset: entry.start * sectorSize,
    length: entry.sectors * sectorSize,
  };
}

interface Chain {
  readonly ebrs: Ebr[];
  readonly logicals: Partition[];
}

async function readChain(head: DiskHead, container: Partition, sectorSize: number): Promise<Chain> {
  const chain: Chain = { ebrs: [], logicals: [] };
  const seen = new Set<number>();
  let next: number | undefined = container.offset;
  while (next !== undefined) {
    const offset: number = next;
    if (seen.has(offset))
      throw tableError(head.source.name, `the chain of logical partitions loops at byte ${offset}`);
    if (seen.size >= MAX_LOGICAL)
      throw tableError(head.source.name, `there are more than ${MAX_LOGICAL} logical partitions`);
    seen.add(offset);
    const sector = await readRecord(head, container, offset);
    if (sector === undefined) break;
    next = addRecord(head.source.name, chain, { container, sectorSize, offset, sector });
  }
  return chain;
}

/** One EBR; undefined for an extended partition whose first sector was never written: it is empty. */
async function readRecord(head: DiskHead, container: Partition, offset: number): Promise<Buffer | undefined> {
  const { source, signal } = head;
  if (offset < container.offset || offset + 512 > endOf(container))
    throw tableError(
      source.name,
      `an extended boot record at byte ${offset} is outside the extended partition ${container.number} (bytes ${span(container)})`,
    );
  const sector = asBuffer(await source.read(offset, 512, signal));
  if (sector.readUInt16LE(510) === BOOT_SIGNATURE) return sector;
  if (offset === container.offset && sector.every((byte) => byte === 0)) return undefined;
  throw tableError(source.name, `the extended boot record at byte ${offset} has no boot signature`);
}

interface RecordAt {
  readonly container: Partition;
  readonly sectorSize: number;
  readonly offset: number;
  readonly sector: Buffer;
}

/** Adds one EBR to the chain and returns where the next one is. */
function addRecord(name: string, chain: Chain, record: RecordAt): number | undefined {
  const { container, sectorSize, offset, sector } = record;
  const [own, link, ...rest] = entriesOf(sector);
  if (own === undefined || link === undefined) return undefined;
  const unusual =
    (isUsed(own) && isExtended(own)) || (isUsed(link) && !isExtended(link)) || rest.some(isUsed);
  if (unusual)
    throw tableError(name, `the extended boot record at byte ${offset} is not one partition and one link`);
  const number = isUsed(own) ? 5 + chain.logicals.length : undefined;
  const next = isUsed(link) ? container.offset + link.start * sectorSize : undefined;
  chain.ebrs.push({ offset, sector, number, next });
  if (number !== undefined) {
    chain.logicals.push({
      number,
      role: 'logical',
      type: typeName(own.type),
      offset: offset + own.start * sectorSize,
      length: own.sectors * sectorSize,
    });
  }
  return next;
}

function assertRecordsFree(name: string, ebrs: readonly Ebr[], logicals: readonly Range[]): void {
  for (const { offset } of ebrs) {
    const hit = logicals.findIndex((range) => offset + 512 > range.offset && offset < endOf(range));
    if (hit === -1) continue;
    throw tableError(
      name,
      `the extended boot record at byte ${offset} is inside logical partition ${hit + 5}`,
    );
  }
}
