import { TsbuilderError } from '../errors.js';
import type { ByteSource } from '../io/byte-source.js';
import { asBuffer, readU64 } from './bytes.js';
import { lvmChecksum } from './lvm-checksum.js';
import {
  type ExtentPlace,
  freeExtents,
  linearStart,
  numberAt,
  segmentsOf,
  volumePieces,
} from './lvm-extents.js';
import { type LvmSection, parseLvmText, subsection } from './lvm-text.js';
import { type Range, endOf } from './range.js';

/** One logical volume. */
export interface LogicalVolume {
  readonly name: string;
  /** Size in bytes. */
  readonly size: number;
  /** Where on the disk its first bytes are; undefined unless it begins with a plain segment on this physical volume. */
  readonly start: number | undefined;
  /** Where all of it is, when it is in one piece on this physical volume: then it can be used like a partition. */
  readonly range: Range | undefined;
  /** Where its pieces are, in the order of the volume, when all of them are plain and on this physical volume. */
  readonly pieces: readonly Range[] | undefined;
  /** How many segments it has, and their kinds: `striped` (also of plain ones), `raid1`, `thin`, ... */
  readonly segments: number;
  readonly types: readonly string[];
  /** Not a part of another volume that LVM keeps to itself. */
  readonly visible: boolean;
}

/** The volume group of a physical volume. */
export interface VolumeGroup {
  readonly name: string;
  /** What tells it from another of the same name; empty where its metadata does not say. */
  readonly id: string;
  /** Bytes of this physical volume that LVM knows about; the size in its label is not kept up to date. */
  readonly physicalSize: number;
  readonly volumes: readonly LogicalVolume[];
  /** How many physical volumes the group has. */
  readonly physicalVolumes: number;
  /** The extents of this physical volume that no volume uses, as bytes of the disk; undefined when that cannot be told. */
  readonly free: readonly Range[] | undefined;
}

const MDA_HEADER = 512;
const MAGIC = ' LVM2 x[5A%r0N*>';
const MAX_TEXT = 4 * 1024 * 1024;

/**
 * Reads the metadata of the LVM2 physical volume in `range` (lvm2, lib/format_text/layout.h): the name of its volume
 * group and the logical volumes with what they hold. Undefined for a physical volume that belongs to no group.
 *
 * @throws TSB_FILESYSTEM when the metadata is damaged
 */
export async function readVolumeGroup(
  source: ByteSource,
  range: Range,
  signal?: AbortSignal,
): Promise<VolumeGroup | undefined> {
  const disk: Disk = { source, range, signal };
  const pv = readPvHeader(await readAt(disk, 0, Math.min(4096, range.length)));
  const text = pv && (await readMetadata(disk, pv.metadata));
  if (text === undefined) return undefined;
  const root = parseLvmText(text);
  const name = [...root.keys()].find((key) => root.get(key) instanceof Map);
  if (name === undefined) return undefined;
  return { name, ...readGroup(range, pv?.uuid, subsection(root, name)) };
}

interface Disk {
  readonly source: ByteSource;
  readonly range: Range;
  readonly signal: AbortSignal | undefined;
}

async function readAt({ source, range, signal }: Disk, at: number, length: number): Promise<Buffer> {
  if (!Number.isSafeInteger(at) || at < 0 || at + length > range.length)
    throw damaged(
      source,
      `bytes ${at}-${at + length - 1} are outside the physical volume of ${range.length} bytes`,
    );
  return asBuffer(await source.read(range.offset + at, length, signal));
}

function damaged(source: ByteSource, what: string): TsbuilderError {
  return new TsbuilderError('TSB_FILESYSTEM', `${source.name}: the LVM metadata is damaged: ${what}`);
}

interface PvHeader {
  readonly uuid: string;
  readonly metadata: Range;
}

/** The first metadata area: behind the list of data areas, which a zero entry ends. */
function readPvHeader(head: Buffer): PvHeader | undefined {
  const label = [0, 512, 1024, 1536].find((at) => head.toString('latin1', at, at + 8) === 'LABELONE');
  if (label === undefined) return undefined;
  const header = label + head.readUInt32LE(label + 20);
  let at = header + 40;
  while (at + 32 <= head.length && readU64(head, at) !== 0) at += 16;
  at += 16;
  if (at + 16 > head.length || readU64(head, at) === 0) return undefined;
  return {
    uuid: head.toString('latin1', header, header + 32),
    metadata: { offset: readU64(head, at), length: readU64(head, at + 8) },
  };
}

/** The current metadata text: it lies in a ring behind the area's header and may wrap around. */
async function readMetadata(disk: Disk, area: Range): Promise<string | undefined> {
  const header = await readAt(disk, area.offset, MDA_HEADER);
  if (header.toString('latin1', 4, 20) !== MAGIC) throw damaged(disk.source, 'no metadata area');
  const offset = readU64(header, 40);
  const length = readU64(header, 48);
  if (offset === 0 || length === 0) return undefined;
  if (length > MAX_TEXT || offset < MDA_HEADER || offset >= area.length)
    throw damaged(disk.source, `${length} bytes of text at ${offset}`);
  const first = Math.min(length, area.length - offset);
  const parts = [
    await readAt(disk, area.offset + offset, first),
    await readAt(disk, area.offset + MDA_HEADER, length - first),
  ];
  const text = Buffer.concat(parts);
  if (lvmChecksum(text) !== header.readUInt32LE(56)) throw damaged(disk.source, 'wrong CRC of the text');
  return text.toString();
}

function readGroup(range: Range, pvUuid: string | undefined, group: LvmSection): Omit<VolumeGroup, 'name'> {
  const extentSize = numberAt(group, 'extent_size') * 512;
  const physical = subsection(group, 'physical_volumes');
  const key = [...physical.keys()].find((name) => plainUuid(subsection(physical, name)) === pvUuid);
  const own = subsection(physical, key ?? '');
  const dataStart = range.offset + numberAt(own, 'pe_start') * 512;
  const list = subsection(group, 'logical_volumes');
  const place = { dataStart, extentSize, key, range };
  const volumes = [...list.keys()].map((name) => readVolume(name, subsection(list, name), place));
  const id = group.get('id');
  return {
    id: typeof id === 'string' ? id : '',
    physicalSize: numberAt(own, 'dev_size') * 512,
    volumes,
    physicalVolumes: physical.size,
    free: freeExtents(group, place),
  };
}

function readVolume(name: string, section: LvmSection, place: ExtentPlace): LogicalVolume {
  const { dataStart, extentSize, key, range } = place;
  const segments = segmentsOf(section);
  const status = section.get('status');
  const size = segments.reduce((sum, segment) => sum + numberAt(segment, 'extent_count'), 0) * extentSize;
  const first = linearStart(subsection(section, 'segment1'), key);
  const start = first === undefined ? undefined : dataStart + first * extentSize;
  const inside = (length: number): boolean =>
    start !== undefined && start >= range.offset && start + length <= endOf(range);
  const whole = size > 0 && inside(size) && inOnePiece(segments, key);
  return {
    name,
    size,
    start: inside(extentSize) ? start : undefined,
    range: whole && start !== undefined ? { offset: start, length: size } : undefined,
    pieces: volumePieces(section, place),
    segments: segments.length,
    types: [...new Set(segments.map(typeOf))],
    visible: Array.isArray(status) && status.includes('VISIBLE'),
  };
}

/** Whether plain segments follow each other in the volume as on the physical volume. */
function inOnePiece(segments: readonly LvmSection[], key: string | undefined): boolean {
  const sorted = [...segments].sort((a, b) => numberAt(a, 'start_extent') - numberAt(b, 'start_extent'));
  const first = sorted[0] && linearStart(sorted[0], key);
  if (first === undefined) return false;
  let logical = 0;
  return sorted.every((segment) => {
    const fits =
      numberAt(segment, 'start_extent') === logical && linearStart(segment, key) === first + logical;
    logical += numberAt(segment, 'extent_count');
    return fits;
  });
}

function plainUuid(section: LvmSection): string | undefined {
  const id = section.get('id');
  return typeof id === 'string' ? id.replaceAll('-', '') : undefined;
}

function typeOf(segment: LvmSection): string {
  const type = segment.get('type');
  return typeof type === 'string' ? type : 'unknown';
}
