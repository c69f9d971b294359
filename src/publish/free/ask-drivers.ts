import { join, resolve } from 'node:path';
import { TsbuilderError } from '../../errors.js';
import { type TrimTarget, trimInAppliance } from '../../guest/appliance-trim.js';
import { type OverlayChanges, readOverlayChanges } from '../../image/qcow2-overlay.js';
import { exec, toolsPresent } from '../../io/exec.js';
import { openFileSource } from '../../io/file-source.js';
import { assertFreeSpace } from '../../io/free-space.js';
import { assertGuestfish, openGuestfishFolder } from '../../io/guestfish.js';
import type { Range } from '../../probe/range.js';
import type { Progress } from '../../progress.js';
import { applianceDevice } from './appliance-device.js';
import { type DiskRegion, type DiskSurvey, piecesByName } from './disk-survey.js';
import { outsideFree, overlaps } from './outside-free.js';

/** The image that a surveyed disk is in. */
export interface SurveyedImage {
  /** Of a file or block device, which is only read. */
  readonly path: string;
  readonly format: 'raw' | 'qcow2';
}

/** How drivers are asked. */
export interface AskOptions {
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** What an overlay notes discards in: the blocks that most filesystems have. */
const CLUSTER = 4096;
/** Of a disk, what the tables of an overlay take when all of it is discarded: 8 bytes a cluster. */
const TABLES_SHARE = 8 / CLUSTER;

/**
 * Asks the drivers of XFS, btrfs and NTFS in a libguestfs appliance what is free there. They work on an overlay: what they discard in it is
 * free, and what they write is thrown away with it, so the disk itself is never changed. A filesystem in which a driver changed more than one that
 * is clean has it change is left: what is free of it is free only after that. Without libguestfs all are left as they are.
 *
 * @throws TSB_NO_SPACE
 */
export async function askDrivers(
  survey: DiskSurvey,
  image: SurveyedImage,
  options: AskOptions,
): Promise<DiskSurvey> {
  const places = piecesByName(survey).filter(([first]) => first?.driver !== undefined);
  if (places.length === 0 || !(await hasTools(options.signal))) return survey;
  const targets = places.flatMap(([region]) =>
    region?.driver ? [{ kind: region.driver.kind, device: applianceDevice(region) }] : [],
  );
  try {
    const { changes, problems } = await trimOverlay({ survey, image, targets }, options);
    const answers = new Map(
      places.flatMap((pieces, index) => answersOf(pieces, { changes, problem: problems[index] })),
    );
    return { ...survey, regions: survey.regions.map((region) => answers.get(region) ?? region) };
  } catch (error) {
    if (!(error instanceof TsbuilderError) || error.code !== 'TSB_TOOL_FAILED') throw noRoom(error);
    const left = `its driver could not be asked what is free: ${error.message}`;
    const asked = new Set(places.flat());
    return {
      ...survey,
      regions: survey.regions.map((region) => (asked.has(region) ? { ...region, left } : region)),
    };
  }
}

/** Where the overlay finds no room, another output would not help. */
function noRoom(error: unknown): unknown {
  if (!(error instanceof TsbuilderError) || error.code !== 'TSB_NO_SPACE') return error;
  return new TsbuilderError(error.code, error.message, {
    hint: 'Free some space there, or set TMPDIR to a folder on another filesystem.',
    details: error.details,
    cause: error,
  });
}

function hasTools(signal: AbortSignal): Promise<boolean> {
  return toolsPresent(async () => {
    await assertGuestfish('sparsify', signal);
    await exec('qemu-img', ['--version'], { signal });
  });
}

async function trimOverlay(
  work: { survey: DiskSurvey; image: SurveyedImage; targets: readonly TrimTarget[] },
  { progress, signal }: AskOptions,
): Promise<{ changes: OverlayChanges; problems: readonly (string | undefined)[] }> {
  const { survey, image, targets } = work;
  await using folder = await openGuestfishFolder();
  await assertFreeSpace(folder.path, 2 * TABLES_SHARE * survey.size);
  const overlay = join(folder.path, 'overlay.qcow2');
  const below = ['-F', image.format, '-b', resolve(image.path)];
  const create = ['create', '-q', '-f', 'qcow2', '-o', `cluster_size=${CLUSTER}`, ...below, overlay];
  await exec('qemu-img', create, { signal });
  const { path } = folder;
  const drive = { path: overlay, sectorSize: survey.sectorSize };
  const problems = await trimInAppliance(drive, targets, { folder: path, progress, signal });
  await using source = await openFileSource(overlay);
  return { problems, changes: await readOverlayChanges(source, signal) };
}

/** What a filesystem's regions are by the word of its driver, each beside what it was. */
function answersOf(
  pieces: readonly DiskRegion[],
  { changes, problem }: { changes: OverlayChanges; problem: string | undefined },
): [DiskRegion, DiskRegion][] {
  const left = problem ?? reasonIn(pieces, changes);
  if (left !== undefined) return pieces.map((piece) => [piece, { ...piece, left }]);
  const free = length(pieces.flatMap((piece) => overlaps([piece], changes.zeroed)));
  return pieces.map((piece) => {
    const freeRanges = overlaps([piece], changes.zeroed);
    const { size, used = size !== undefined && size >= free ? size - free : undefined } = piece;
    const sizes = size === undefined ? {} : { used, free: piece.free ?? free };
    return [piece, { ...piece, ...sizes, freeRanges, left: undefined }];
  });
}

/** Why the free space that a driver told is not that of the filesystem as it is on the disk. */
function reasonIn(pieces: readonly DiskRegion[], changes: OverlayChanges): string | undefined {
  const allowed = pieces.flatMap(({ driver }) => driver?.ownWrites ?? []).sort((a, b) => a.offset - b.offset);
  const outside = outsideFree(allowed);
  const changed = overlaps(pieces, changes.written).some(
    (range) => [...outside(range.offset, range.length)].length > 0,
  );
  if (changed) return 'it was not unmounted cleanly: mounting it changed it';
  if (overlaps(pieces, changes.zeroed).length === 0 && (pieces[0]?.free ?? 0) > CLUSTER)
    return 'its driver gave nothing back';
  return undefined;
}

const length = (ranges: readonly Range[]): number => ranges.reduce((sum, range) => sum + range.length, 0);
