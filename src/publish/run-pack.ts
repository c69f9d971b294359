import { assertNotInput } from '../build/assert-not-input.js';
import { claimDisk } from '../build/claim-disk.js';
import { type FillDisk, diskContent, subtractRanges, totalLength } from '../build/disk-fill.js';
import { type PackOptions, type PackedFile, packXz, verifyPacked } from '../build/pack-xz.js';
import { type ErrorCode, TsbuilderError } from '../errors.js';
import { openOutputFile } from '../io/output-file.js';
import type { Range } from '../probe/range.js';
import type { Progress } from '../progress.js';
import { type XzPacking, assertPacking } from '../xz/encode-options.js';
import type { PackedBefore } from '../xz/encode-reuse.js';
import { type AskOptions, askDrivers } from './free/ask-drivers.js';
import { freeRanges, surveyDisk } from './free/disk-survey.js';
import { type PackInput, openPackInput } from './pack-input.js';
import { lookAgain } from './second-look.js';

/** A disk to pack, and how. */
export interface PackRequest extends XzPacking {
  /** Path of a disk image or block device, which is only read. */
  readonly input: string;
  /** Path of the new xz file. */
  readonly output: string;
  /** Blocks packed at once. */
  readonly jobs: number;
  /** Pack what the disk's filesystems do not use as zeros. */
  readonly sparsify: boolean;
  /** Decode the new file and compare before it appears. */
  readonly verify: boolean;
  /** Of which blocks are taken over where their content is the same. The new file does not depend on it. */
  readonly before?: PackedBefore | undefined;
  readonly force: boolean;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** What was packed. Sizes in bytes. */
export interface PackResult {
  readonly output: string;
  /** Of the disk. */
  readonly size: number;
  readonly packedSize: number;
  /** Of the xz file, in lower-case hex. */
  readonly sha512: string;
  /** Bytes of data that were packed as zeros because nothing on the disk uses them. */
  readonly freed: number;
  /** Blocks that are zero throughout. */
  readonly zeroBlocks: number;
  /** Blocks that were taken over from a file packed before. */
  readonly reusedBlocks: number;
  readonly verified: boolean;
  /** What was told as warnings too. */
  readonly warnings: readonly string[];
}

/** What a survey ends with when it is the disk's content that is not understood. */
const UNREADABLE: ReadonlySet<ErrorCode> = new Set(['TSB_PARTITION_TABLE', 'TSB_FILESYSTEM']);

/**
 * Packs a disk into an xz file of independent blocks. The new file appears when all of it is there and, with `verify`, has been
 * decoded to what was packed; the disk is never changed.
 *
 * @throws TSB_USAGE, TSB_LOCKED when the disk is in use, TSB_NO_SPACE, TSB_CONTENT_CHANGED when the disk was written to meanwhile,
 *   TSB_CHECKSUM_MISMATCH when the new file holds something else, and the codes of `openPackInput` and `openOutputFile`
 */
export async function runPack(request: PackRequest): Promise<PackResult> {
  const { input, progress, signal, verify } = request;
  assertRequest(request);
  await assertNotInput(input, request.output, 'Choose another name for the output.');
  await using file = await openOutputFile(request.output, request);
  await using lock = await claimDisk(input, 'read');
  await using source = await openPackInput(input, { scratchFor: file.path, signal });
  const warnings = [...source.warnings];
  const unused = request.sparsify ? await findUnused(source, { warnings, progress, signal }) : [];
  for (const warning of warnings) progress.warn(warning);
  const ranges = subtractRanges(source.disk.size, source.ranges, unused);
  const options = { ...request, name: file.path };
  const packed = await packRanges(file.tempPath, { disk: source.disk, ranges }, options);
  await lock.assertUnchanged();
  if (verify) await verifyPacked(file.tempPath, packed, options);
  await lookAgain(input, diskContent({ disk: source.disk, ranges }, { advance: () => undefined }), {
    packed,
    signal,
  });
  await lock.assertUnchanged();
  await file.commit();
  const { size, packedSize, zeroBlocks, reusedBlocks, sha512 } = packed;
  const freed = totalLength(source.ranges) - totalLength(ranges);
  const blocks = { zeroBlocks, reusedBlocks };
  return { output: file.path, size, packedSize, sha512, freed, ...blocks, verified: verify, warnings };
}

function assertRequest(request: PackRequest): void {
  assertPacking(request);
  if (request.output !== '-') return;
  throw new TsbuilderError('TSB_USAGE', 'standard output: a packed file is verified before it appears', {
    hint: 'Name a file as the output.',
  });
}

async function packRanges(path: string, disk: FillDisk, options: PackOptions): Promise<PackedFile> {
  using step = options.progress.step('Packing', totalLength(disk.ranges));
  return await packXz(path, diskContent(disk, step), options);
}

/** Every disk has places of no partition, at its start and end, that may hold something: no news up to this many bytes. */
const UNREMARKABLE = 4 * 1024 * 1024;

/** What nothing on the disk uses. What had to be left is added to `warnings`. A disk that cannot be understood is used throughout. */
async function findUnused(
  { disk, image }: PackInput,
  options: AskOptions & { readonly warnings: string[] },
): Promise<readonly Range[]> {
  const { warnings, signal } = options;
  try {
    const survey = await askDrivers(await surveyDisk(disk, { signal }), image, options);
    for (const { name, content, length, left } of survey.regions)
      if (left !== undefined && (content !== 'none' || length > UNREMARKABLE))
        warnings.push(`${name} (${content}) is packed whole: ${left}`);
    return freeRanges(survey);
  } catch (error) {
    if (!(error instanceof TsbuilderError) || !UNREADABLE.has(error.code)) throw error;
    warnings.push(`all of the disk is packed: ${error.message}`);
    return [];
  }
}
