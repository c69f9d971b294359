import { describeDisk } from '../build/describe-disk.js';
import { TsbuilderError } from '../errors.js';
import { openExtFiles } from '../guest/ext/open-ext-guest.js';
import { type DeviceTable, readDeviceTable } from '../guest/find-device.js';
import { withoutParts } from '../guest/find-root.js';
import { readFstab } from '../guest/fstab.js';
import type { GuestFiles } from '../guest/guest.js';
import { mountedFiles } from '../guest/mounted/mounted-files.js';
import { openMountTable } from '../guest/mounted/open-files.js';
import { type PlannedMount, planMounts } from '../guest/mounted/plan-mounts.js';
import { warnOfAbsent } from '../guest/mounted/warn-absent.js';
import { type GuestVolume, listVolumes, volumeSource } from '../guest/volume.js';
import type { DiskSource } from '../io/disk-source.js';
import type { Progress } from '../progress.js';
import { probeContent } from '../probe/probe-content.js';
import { type LookPlace, cannotLook } from './look-problem.js';
import { openPartition } from './partition-disk.js';

/** Files inside a disk, for reading. */
export interface ImageFiles {
  /** Number of the partition that their root is on, or that has its LVM volume; 0: it fills the disk. */
  readonly partition: number;
  readonly files: GuestFiles;
}

/** How the files of a disk are opened. */
interface ImageFilesOptions {
  readonly partition?: number | undefined;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens files of `disk` with few and small reads: those of the ext2/3/4 filesystem on `partition`, or without one those of the system on
 * the disk, with everything that its fstab mounts. A disk with one ext filesystem needs no system on it.
 *
 * @throws TSB_PARTITION_NOT_FOUND, TSB_PARTITION_TABLE; TSB_FILESYSTEM when there is no ext filesystem or it is damaged; TSB_GUEST
 *   when it cannot be told which of several is meant
 */
export async function openImageFiles(disk: DiskSource, options: ImageFilesOptions): Promise<ImageFiles> {
  const { partition } = options;
  return partition === undefined ? openSystem(disk, options) : openOne(disk, partition, options);
}

async function openOne(
  disk: DiskSource,
  number: number,
  { progress, signal }: ImageFilesOptions,
): Promise<ImageFiles> {
  const source = number === 0 ? disk : await openPartition(disk, number, signal);
  const content = await probeContent(source, { offset: 0, length: source.size }, signal);
  const place = { id: String(number), label: number === 0 ? '' : `partition ${number}`, content };
  if (content.kind !== 'ext') throw cannotLook(disk, [place]);
  warnOfJournal(disk, place, progress);
  return { partition: number, files: await openExtFiles(source, signal) };
}

async function openSystem(disk: DiskSource, { progress, signal }: ImageFilesOptions): Promise<ImageFiles> {
  const { partitions } = await describeDisk(disk, signal);
  const table = await readDeviceTable(disk, await listVolumes(disk, partitions, signal), signal);
  const { volume, files, mounts } = await theSystem(disk, table, signal);
  for (const each of [volume, ...mounts.map((mount) => mount.volume)])
    if (each) warnOfJournal(disk, each, progress);
  const mounted = await openMountTable(disk, files, { mounts, signal });
  const enterAbsent = warnOfAbsent((message) => progress.warn(message));
  return { partition: volume.partition.number, files: mountedFiles({ ...mounted, enterAbsent }) };
}

interface FoundFiles {
  readonly volume: GuestVolume;
  readonly files: GuestFiles;
  readonly mounts: readonly PlannedMount[];
}

async function theSystem(
  disk: DiskSource,
  table: DeviceTable,
  signal: AbortSignal | undefined,
): Promise<FoundFiles> {
  const candidates = table.volumes.filter(({ content, range }) => content.kind === 'ext' && range);
  const found: FoundFiles[] = [];
  for (const volume of candidates) {
    const source = volumeSource(disk, volume);
    if (!source) continue;
    const files = await openExtFiles(source, signal);
    if (candidates.length > 1 && !(await isRoot(files))) continue;
    found.push({ volume, files, mounts: planMounts(await readFstab(files), table, volume) });
  }
  const [system, ...others] = withoutParts(found);
  if (system && others.length === 0) return system;
  if (candidates.length === 0) throw cannotLook(disk, table.volumes);
  const meant = system ? [system, ...others].map(({ volume }) => volume) : candidates;
  throw new TsbuilderError(
    'TSB_GUEST',
    `${disk.name}: several filesystems could be meant: ${meant.map(({ label }) => label).join(', ')}`,
    { hint: 'Choose one: --partition N, or :N after the name.' },
  );
}

/** Only names are looked at: every file that were read would cost a block of the image. */
async function isRoot(files: GuestFiles): Promise<boolean> {
  const names = (await files.entries('/')).map(({ rawName }) => rawName);
  return names.includes('etc') && ['bin', 'usr', 'sbin'].some((name) => names.includes(name));
}

function warnOfJournal(disk: DiskSource, { label, content }: LookPlace, progress: Progress): void {
  if (!content.features?.includes('needs_recovery')) return;
  const what = label === '' ? disk.name : `${label} of ${disk.name}`;
  progress.warn(`${what} was not unmounted: what is in its journal only is not seen`);
}
