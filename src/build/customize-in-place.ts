import type { Stats } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { convertImage } from '../image/convert-image.js';
import { type DescribedStage, describeStages } from '../customize/plan-customize.js';
import type { DiskLock } from '../io/disk-lock.js';
import { openFileSource } from '../io/file-source.js';
import { openOutputFile, openScratchFile } from '../io/output-file.js';
import type { Progress } from '../progress.js';
import { assertChangeable } from './assert-changeable.js';
import { assertCustomizable } from './assert-customizable.js';
import { assertNotInput } from './assert-not-input.js';
import { assertOutputName } from './assert-output-name.js';
import { findSystems, findSystemsIn, systemMeant } from './choose-root.js';
import { claimDisk } from './claim-disk.js';
import {
  type CustomizeDone,
  type CustomizeMeans,
  type CustomizeWork,
  NOTHING_DONE,
  beginCustomizing,
  doneSoFar,
} from './customize-work.js';
import { openDiskContent } from './disk-content.js';
import { type ImageKind, copyToRaw, imageKind } from './disk-copy.js';
import { diskFile } from './disk-file.js';
import { type Backup, backupName, keepBackup } from './keep-backup.js';
import { type RenewedIds, renewDiskIds } from './renew-disk-ids.js';
import { customizeDisk, customizeSystem } from './run-customize.js';

/** Which disk to customise, and how. */
export interface CustomizeRequest {
  readonly disk: string;
  /** What it is. Default: what it looks like. */
  readonly format?: 'raw' | 'qcow2' | undefined;
  /** Another file to make, instead of changing the disk. */
  readonly output?: string | undefined;
  /** Replace an existing `output`. */
  readonly force: boolean;
  /** Keep the disk as it was under another name. */
  readonly backup: boolean;
  readonly work: CustomizeWork;
  readonly jobs: number;
}

/** What was made of a disk. */
export interface CustomizeResult extends CustomizeDone {
  /** The file that has the changes. */
  readonly output: string;
  readonly format: 'raw' | 'qcow2';
  /** The disk as it was. */
  readonly backup: string | undefined;
  /** The new ids, where they were asked for. */
  readonly diskIds?: RenewedIds | undefined;
}

/**
 * Customises a raw or qcow2 disk. The work is done on a copy, which takes the disk's place when all is done; whatever goes wrong
 * before, the disk is untouched. Without a backup, where one commit does all, a raw disk is changed itself: that
 * commit is taken back if it fails.
 *
 * @throws TSB_LOCKED when the disk is in use, TSB_USAGE, TSB_NO_SPACE, and as `customizeDisk`
 */
export async function runCustomize(
  request: CustomizeRequest,
  means: CustomizeMeans,
): Promise<CustomizeResult> {
  await assertCustomizable(request.work, means.signal);
  const path = await diskFile(request.disk, 'customised');
  await using lock = await claimDisk(path, request.output === undefined ? 'write' : 'read');
  const kind = await imageKind(path, { format: request.format, signal: means.signal });
  await assertPlace(path, kind, request);
  const itself = mayChangeItself(kind, request)
    ? await changeItself(path, request, { ...means, lockFd: lock.fd })
    : undefined;
  return itself ?? (await changeCopy({ path, kind, lock }, request, means));
}

/** Whether nothing but one commit may be needed, so that no copy is. */
function mayChangeItself(kind: ImageKind, { backup, output, work }: CustomizeRequest): boolean {
  if (kind.format !== 'raw' || backup || output !== undefined || work.diskIds === 'new') return false;
  return !work.stages.some(({ runs }) => runs === 'in-guest');
}

async function assertPlace(path: string, kind: ImageKind, request: CustomizeRequest): Promise<void> {
  if (request.output === undefined) await assertChangeable(path, { byCopy: !mayChangeItself(kind, request) });
}

/** Thrown where one commit turns out not to be enough. */
const NEEDS_COPY = new Error('this needs a copy of the disk');

/** Changes the disk itself, if that is allowed and one commit on ext filesystems does it: undefined otherwise. */
async function changeItself(
  path: string,
  { work }: CustomizeRequest,
  means: CustomizeMeans,
): Promise<CustomizeResult | undefined> {
  const root = systemMeant(path, await findSystemsIn(path, means.signal), work.root);
  if (!root) return undefined;
  // This is the only copy: no session may be killed half-way.
  const openSession = (): Promise<never> => Promise.reject(NEEDS_COPY);
  const state = beginCustomizing(work, { ...means, sync: false, openSession });
  try {
    await customizeSystem(path, root, state);
  } catch (error) {
    if (error === NEEDS_COPY) return undefined;
    throw error;
  }
  // Nothing of it is left to a later flush; one at the end is as good as many between.
  await using handle = await open(path, 'r+');
  await handle.sync();
  return { ...doneSoFar(state), output: path, format: 'raw', backup: undefined };
}

async function changeCopy(
  { path, kind, lock }: { path: string; kind: ImageKind; lock: DiskLock },
  request: CustomizeRequest,
  means: CustomizeMeans,
): Promise<CustomizeResult> {
  const { jobs, work } = request;
  const { progress, signal } = means;
  const inPlace = request.output === undefined;
  const target = request.output === undefined ? path : await outputPath(request.disk, request.output);
  const before = await lstat(path);
  // A disk without a system is refused before it is copied.
  if (work.stages.length > 0) await lookAt(path, kind, { root: work.root, signal });
  if (inPlace && before.nlink > 1)
    progress.warn(`${path} has other names (hard links): under these the disk stays as it was`);
  await using output = await openOutputFile(target, { force: inPlace || request.force, sync: means.sync });
  await using scratch = kind.format === 'raw' ? undefined : await openScratchFile(target);
  const raw = scratch?.tempPath ?? output.tempPath;
  await copyToRaw({ path, kind }, raw, { jobs, progress, signal });
  await lock.assertUnchanged();
  const done = await customizeRaw(raw, work, means);
  if (scratch) await repack(raw, output.tempPath, { jobs, progress, signal, kind });
  await lock.assertUnchanged();
  signal.throwIfAborted();
  const backup = inPlace && request.backup ? await keepBackup(path) : undefined;
  await commitOr(() => output.commit(), backup);
  if (inPlace) await warnOfOwner(path, before, progress);
  return { ...done, output: target, format: kind.format, backup: backup?.path };
}

/** The system on a disk that is meant, as `systemMeant` tells it, and how many bytes a copy of the disk takes at most. */
async function lookAt(
  path: string,
  kind: ImageKind,
  { root, signal }: { root: string | undefined; signal: AbortSignal },
): Promise<{ system: ReturnType<typeof systemMeant>; allocation: number }> {
  await using source = await openFileSource(path);
  await using content = await openDiskContent(source, { path, format: kind.format, signal });
  const system = systemMeant(path, await findSystems(content.disk, signal), root);
  return { system, allocation: content.estimatedAllocation };
}

/** What opens the disk later may be another user, who no longer can. */
async function warnOfOwner(path: string, before: Stats, progress: Progress): Promise<void> {
  const [old, now] = [before, await lstat(path)].map(({ uid, gid }) => `${uid}:${gid}`);
  if (old === now) return;
  progress.warn(`${path} belongs to ${now} now, not to ${old} as before: only root can give it back`);
}

/** Does all to a copy that nobody sees yet. New ids come last: what the operations write may name the old ones. */
async function customizeRaw(
  raw: string,
  work: CustomizeWork,
  means: CustomizeMeans,
): Promise<CustomizeDone & Pick<CustomizeResult, 'diskIds'>> {
  const done = work.stages.length > 0 ? await customizeDisk(raw, work, means) : NOTHING_DONE;
  const diskIds = work.diskIds === 'new' ? await renewDiskIds(raw, means) : undefined;
  return { ...done, diskIds };
}

/** What would be done to a disk. */
export interface CustomizePlan {
  readonly disk: string;
  readonly output: string;
  /** The system that is meant, in words. */
  readonly system: string;
  readonly customize: readonly DescribedStage[];
  readonly diskIds: 'new' | 'keep';
  /** The disk that is made for cloud-init. */
  readonly cloudInitDisk: string | undefined;
  /** Where the disk as it is will be kept. */
  readonly backup: string | undefined;
  /** Bytes that the copy takes at most; none of them where it shares its blocks with the disk. 0: none is made. */
  readonly copied: number;
}

/**
 * What `runCustomize` would do. Reads a little of the disk, which may be in use.
 *
 * @throws TSB_GUEST when there is no system or which one is meant cannot be told, and as reading disks
 */
export async function planRun(request: CustomizeRequest, signal: AbortSignal): Promise<CustomizePlan> {
  await assertCustomizable(request.work, signal);
  const path = await diskFile(request.disk, 'customised');
  const kind = await imageKind(path, { format: request.format, signal });
  await assertPlace(path, kind, request);
  const { system, allocation } = await lookAt(path, kind, { root: request.work.root, signal });
  return {
    disk: path,
    output: request.output === undefined ? path : await outputPath(request.disk, request.output),
    system: system
      ? `${system.os.distro?.name ?? 'Linux'} on ${system.volume.label}`
      : 'to be found by libguestfs',
    customize: describeStages(request.work.stages),
    diskIds: request.work.diskIds ?? 'keep',
    cloudInitDisk: request.work.cloudInitDisk?.path,
    backup: request.backup && request.output === undefined ? await backupName(path) : undefined,
    copied: mayChangeItself(kind, request) ? 0 : allocation,
  };
}

async function outputPath(disk: string, output: string): Promise<string> {
  assertOutputName(output);
  await assertNotInput(disk, output, 'To change the disk itself, leave --output away.');
  return resolve(output);
}

async function repack(
  raw: string,
  target: string,
  options: Parameters<typeof copyToRaw>[2] & { kind: ImageKind },
): Promise<void> {
  const { kind, jobs, signal } = options;
  using _ = options.progress.step('Writing the qcow2 image');
  await convertImage(raw, target, {
    ...(kind.format === 'qcow2' && kind.options),
    jobs,
    signal,
    format: kind.format,
  });
}

async function commitOr(commit: () => Promise<void>, backup: Backup | undefined): Promise<void> {
  try {
    await commit();
  } catch (error) {
    // What went wrong first is told, and a name too many does no harm.
    await backup?.undo().catch(() => undefined);
    throw error;
  }
}
