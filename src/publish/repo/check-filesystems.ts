import { TsbuilderError } from '../../errors.js';
import { damagedXfs } from '../../guest/appliance-check.js';
import { ANY_STATUS, complaint, runE2fs } from '../../guest/ext/e2fs-run.js';
import { openE2fsScratch } from '../../io/e2fs-env.js';
import { toolsPresent } from '../../io/exec.js';
import { openFileSource } from '../../io/file-source.js';
import { assertGuestfish, openGuestfishFolder } from '../../io/guestfish.js';
import { endOf } from '../../probe/range.js';
import type { Progress } from '../../progress.js';
import { applianceDevice } from '../free/appliance-device.js';
import { type DiskRegion, piecesByName, surveyDisk } from '../free/disk-survey.js';

/** A raw disk whose filesystems are checked. */
export interface CheckedFilesystems {
  readonly path: string;
  /** Of the template, for messages. */
  readonly name: string;
}

/** How they are checked. */
export interface CheckOptions {
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * Has e2fsck look through the ext filesystems of a disk, on partitions and LVM volumes, and, where libguestfs is installed, xfs_repair through
 * its XFS. What is not looked through is warned about.
 *
 * @throws TSB_FILESYSTEM with what was found, TSB_TOOL_FAILED when the appliance does not start
 */
export async function checkFilesystems(disk: CheckedFilesystems, options: CheckOptions): Promise<void> {
  const { progress, signal } = options;
  await using source = await openFileSource(disk.path);
  const survey = await surveyDisk(source, { signal });
  const skipped: DiskRegion[] = [];
  const xfs: DiskRegion[] = [];
  for (const [first, ...more] of piecesByName(survey)) {
    if (!first) continue;
    const together = [first, ...more].every((piece, at, all) => {
      const before = all[at - 1];
      return before === undefined || endOf(before) === piece.offset;
    });
    if (first.content === 'xfs') xfs.push(first);
    else if (/^ext[234]$/.test(first.content) && together) await assertCleanExt(disk, first, signal);
    else if (/^(?:ext[234]|btrfs|ntfs)$/.test(first.content)) skipped.push(first);
  }
  if (xfs.length > 0 && (await toolsPresent(() => assertGuestfish('--build', signal))))
    await assertCleanXfs({ ...disk, sectorSize: survey.sectorSize }, xfs, options);
  else skipped.push(...xfs);
  for (const { name, content } of skipped)
    progress.warn(`${disk.name}: ${name} (${content}) of the built disk is not looked through`);
}

async function assertCleanExt(
  { path, name }: CheckedFilesystems,
  { name: place, offset }: DiskRegion,
  signal: AbortSignal,
): Promise<void> {
  await using scratch = await openE2fsScratch(path, offset);
  const target = { diskPath: path, offset, now: Math.floor(Date.now() / 1000) };
  const command = ['e2fsck', '-fn', scratch.device] as const;
  const found = await runE2fs(target, scratch, { command: [...command], okStatus: ANY_STATUS, signal });
  if (found.status === 0) return;
  throw damaged(
    name,
    place,
    `e2fsck found (status ${found.status}): ${complaint(found.stdout, found.stderr)}`,
  );
}

async function assertCleanXfs(
  disk: CheckedFilesystems & { readonly sectorSize: number },
  regions: readonly DiskRegion[],
  options: CheckOptions,
): Promise<void> {
  await using folder = await openGuestfishFolder();
  const devices = new Map(regions.map((region) => [applianceDevice(region), region.name]));
  const [first] = await damagedXfs(disk, [...devices.keys()], { ...options, folder: folder.path });
  if (first !== undefined)
    throw damaged(disk.name, devices.get(first) ?? first, 'xfs_repair would change it');
}

function damaged(name: string, place: string, what: string): TsbuilderError {
  return new TsbuilderError('TSB_FILESYSTEM', `${name}: ${place} of the built disk: ${what}`);
}
