import { deflateRaw } from 'node:zlib';
import { promisify } from 'node:util';
import { totalLength } from '../build/disk-fill.js';
import { assertOutputName } from '../build/assert-output-name.js';
import { TsbuilderError } from '../errors.js';
import type { DiskSource } from '../io/disk-source.js';
import { openOutputFile } from '../io/output-file.js';
import type { Range } from '../probe/range.js';
import type { XzIndex } from '../xz/xz-index.js';
import { type DiskUsage, type RegionUsage, packedIn, readUsage } from './disk-usage.js';
import { overlaps } from './free/outside-free.js';
import { drawPicture } from './picture/draw-picture.js';
import { picturePage } from './picture/picture-page.js';
import { planPicture } from './picture/plan-picture.js';

/** A disk of which the use is told. */
export interface DfRequest {
  /** Template name, path or redacted URL. */
  readonly name: string;
  readonly disk: DiskSource;
  readonly format: string;
  /** Of the xz file that the disk is in. */
  readonly index?: XzIndex | undefined;
  /** Bytes that the image takes. */
  readonly occupied?: number | undefined;
  /** Whether a few samples may be read to guess how well it packs. */
  readonly sample: boolean;
  /** Where a picture goes: a name that ends in `.svg` or `.html`. */
  readonly map?: string | undefined;
  readonly force: boolean;
  readonly signal: AbortSignal;
}

/** How a disk is used. Bytes. */
export interface DfResult {
  readonly name: string;
  readonly format: string;
  readonly size: number;
  readonly table: DiskUsage['table'];
  readonly occupied?: number | undefined;
  readonly regions: readonly RegionUsage[];
  readonly total: {
    /** Of all filesystems and swap spaces whose numbers are known. */
    readonly size: number;
    readonly used: number;
    readonly free: number;
    /** What is not known to be zero. */
    readonly data: number;
  };
  /** What making it sparse frees. */
  readonly sparsify: {
    readonly freeable: number;
    /** False where the image does not tell all of its zeros. */
    readonly exact: boolean;
    /** Data of filesystems whose drivers are to be asked: what they find free in it comes on top. */
    readonly driven: number;
  };
  /** What it takes packed with xz: as it is, or, for an image that is not packed, about that much when sparsified. */
  readonly packing?:
    | {
        readonly packed: number;
        readonly estimated: boolean;
        /** Of a packed file, about this is for what nothing uses, when all of a block packs alike. */
        readonly free?: number | undefined;
      }
    | undefined;
  readonly map?: string | undefined;
}

/**
 * Tells how a disk is used and what could be saved, and draws it.
 *
 * @throws TSB_USAGE for a picture of another kind, TSB_OUTPUT_EXISTS, TSB_PARTITION_TABLE, and as the disk
 */
export async function runDf(request: DfRequest): Promise<DfResult> {
  const { name, disk, format, index, occupied, map, signal } = request;
  const kind = map === undefined ? undefined : pictureKind(map);
  const usage = await readUsage(disk, { index, signal });
  const result = {
    ...{ name, format, occupied, map },
    size: usage.size,
    table: usage.table,
    regions: usage.regions,
    total: totalOf(usage),
    sparsify: {
      freeable: totalLength(overlaps(usage.free, usage.data)),
      exact: index === undefined,
      driven: usage.regions.reduce((sum, { driven, data }) => sum + (driven ? data : 0), 0),
    },
    packing: await packingOf(usage, request),
  };
  if (map !== undefined && kind !== undefined) {
    const picture = planPicture(usage, {
      name:
        name
          .replace(/[?#].*$/, '')
          .split('/')
          .pop() || name,
    });
    const text = kind === 'svg' ? drawPicture(picture) : picturePage(picture, usage.regions);
    await writePicture(map, text, request);
  }
  return result;
}

function pictureKind(path: string): 'svg' | 'html' {
  const kind = /\.(svg|html)$/i.exec(path)?.[1]?.toLowerCase();
  if (kind === 'svg' || kind === 'html') return kind;
  throw new TsbuilderError('TSB_USAGE', `${path}: a picture is an .svg or .html file`, {
    hint: 'For example: --map disk.svg',
  });
}

async function writePicture(path: string, text: string, { force }: DfRequest): Promise<void> {
  assertOutputName(path);
  await using file = await openOutputFile(path, { force });
  const { writeFile } = await import('node:fs/promises');
  await writeFile(file.tempPath, text);
  await file.commit();
}

function totalOf({ regions, data }: DiskUsage): DfResult['total'] {
  const known = regions.filter(({ used }) => used !== undefined);
  const sum = (numbers: readonly (number | undefined)[]): number =>
    numbers.reduce<number>((total, number) => total + (number ?? 0), 0);
  return {
    size: sum(known.map(({ size }) => size)),
    used: sum(known.map(({ used }) => used)),
    free: sum(known.map(({ free }) => free)),
    data: totalLength(data),
  };
}

async function packingOf(usage: DiskUsage, request: DfRequest): Promise<DfResult['packing']> {
  const { blocks, free } = usage;
  if (request.index && blocks) {
    const packed = request.index.compressedSize;
    const stored = overlaps(free, usage.data);
    return { packed, estimated: false, free: Math.round(packedIn(stored, blocks)) };
  }
  if (!request.sample) return undefined;
  const kept = overlaps(usage.data, keptOf(usage));
  const packed = Math.round(totalLength(kept) * (await sampleRatio(request.disk, kept, request.signal)));
  return { packed, estimated: true };
}

/** What is not free. */
function keptOf({ size, free }: DiskUsage): Range[] {
  const kept: Range[] = [];
  let at = 0;
  for (const { offset, length } of [...free, { offset: size, length: 0 }]) {
    if (offset > at) kept.push({ offset: at, length: offset - at });
    at = offset + length;
  }
  return kept;
}

const SAMPLES = 48;
const SAMPLE = 128 * 1024;
/** What xz makes of a disk's data is about this much of what deflate does: its dictionary is larger. */
const XZ_TO_DEFLATE = 0.7;
/** What deflate cannot make smaller than this is packed already, and xz does no better. */
const INCOMPRESSIBLE = 0.9;

/** How well data packs, by samples that are spread over it evenly. */
async function sampleRatio(disk: DiskSource, ranges: readonly Range[], signal: AbortSignal): Promise<number> {
  const total = totalLength(ranges);
  const deflate = promisify(deflateRaw);
  let [read, packed] = [0, 0];
  let [index, before] = [0, 0];
  for (let sample = 0; sample < SAMPLES && total > 0; sample += 1) {
    const at = Math.floor((sample * total) / SAMPLES);
    for (let range = ranges[index]; range && before + range.length <= at; range = ranges[index]) {
      before += range.length;
      index += 1;
    }
    const range = ranges[index];
    if (!range) break;
    const length = Math.min(SAMPLE, range.length - (at - before));
    const data = await disk.read(range.offset + at - before, length, signal);
    read += length;
    const deflated = (await deflate(data)).length;
    packed += deflated > length * INCOMPRESSIBLE ? Math.min(deflated, length) : deflated * XZ_TO_DEFLATE;
  }
  return read === 0 ? 0 : packed / read;
}
