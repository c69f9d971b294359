import { open } from 'node:fs/promises';
import { TsbuilderError } from '../errors.js';
import { type IdText, idText } from '../customize/id-text.js';
import {
  type IdSearch,
  type SearchedFile,
  STRAY_FOLDERS,
  replaceIds,
  searchGuest,
} from '../customize/replace-ids.js';
import { openExtFiles, openExtGuest } from '../guest/ext/open-ext-guest.js';
import { type GuestRoot, findRoots } from '../guest/find-root.js';
import type { Guest, GuestFiles } from '../guest/guest.js';
import { openRoot } from '../guest/open-guest.js';
import { type GuestVolume, volumeSource } from '../guest/volume.js';
import { writeFully } from '../image/write-fully.js';
import type { ByteSource } from '../io/byte-source.js';
import { openFileSource } from '../io/file-source.js';
import type { RandomSource } from '../io/random.js';
import type { Progress } from '../progress.js';
import { withNewIds } from '../resize/disk-ids.js';
import type { DescribedPartition } from './describe-disk.js';
import { type Unpacked, openUnpacked } from './disk-ids-archive.js';
import { replaceInFat, searchFat } from './disk-ids-fat.js';
import { type IdTarget, setFilesystemId } from './disk-ids-filesystem.js';
import { readEmbeddedGrub } from './disk-ids-grub.js';
import { type DiskIdPlan, planDiskIds } from './disk-ids-plan.js';
import { openIdSearch } from './disk-ids-search.js';

/** How a disk gets new ids. */
export interface RenewOptions extends Omit<IdTarget, 'path'> {
  readonly random: RandomSource;
  readonly progress: Progress;
}

/** What has a new id, and what it is. */
export interface RenewedId {
  readonly what: string;
  readonly from: string;
  readonly to: string;
}

/** What became of the ids of a disk. */
export interface RenewedIds {
  readonly ids: readonly RenewedId[];
  /** The files that named old ones. */
  readonly files: readonly string[];
}

type Volume = GuestVolume<DescribedPartition>;
type Root = GuestRoot<DescribedPartition>;

/** Where the old ids stand. */
interface Places {
  readonly roots: readonly { readonly root: Root; readonly paths: readonly string[] }[];
  readonly stray: readonly { readonly volume: Volume; readonly paths: readonly string[] }[];
  readonly fat: readonly { readonly volume: Volume; readonly paths: readonly string[] }[];
}

/**
 * Gives the raw disk at `path` new ids: of the disk, its partitions and its filesystems, and writes them into the settings and boot
 * files that name the old ones. Nothing is changed before all places have been looked through; afterwards they are looked through
 * again. An error in between leaves a disk that is not to be used, so `path` is to be a copy or an unfinished output.
 *
 * @throws TSB_GUEST with `details.reason` `disk-id` and `details.where`: something has an old id that cannot be replaced there
 * @throws TSB_FILESYSTEM for damage, TSB_TOOL_MISSING
 */
export async function renewDiskIds(path: string, options: RenewOptions): Promise<RenewedIds> {
  const { progress, random, signal } = options;
  using _ = progress.step('Giving the disk new ids');
  const target: IdTarget = { path, fakeTime: options.fakeTime, sync: options.sync, signal };
  const { plan, places } = await inspect(path, async (disk) => {
    const made = await planDiskIds(disk, random, signal);
    return { plan: made, places: await findPlaces(disk, target, made) };
  });
  const ids = idText(plan.changes);
  await replaceAll(target, places, ids);
  for (const { volume, id } of plan.volumes) await setFilesystemId(target, volume, id);
  await writeTable(path, plan);
  await inspect(path, (disk) => assertRenewed(disk, target, plan));
  return { ids: plan.changes.map(({ what, from, to }) => ({ what, from, to })), files: filesOf(places) };
}

async function inspect<T>(path: string, work: (disk: ByteSource) => Promise<T>): Promise<T> {
  await using disk = await openFileSource(path);
  return await work(disk);
}

/** Looks through everything that may name an id of the disk. */
async function findPlaces(disk: ByteSource, target: IdTarget, plan: DiskIdPlan): Promise<Places> {
  const { signal, path } = target;
  const ids = idText(plan.changes);
  const volumes = plan.volumes.map(({ volume }) => volume);
  const roots = await findRoots(disk, plan.partitions, signal);
  const searchFor = (root: Root | undefined): IdSearch =>
    openIdSearch(ids, {
      disk: path,
      signal,
      isElsewhere: (at) => root !== undefined && isFatMount(root, at),
    });
  await searchGrub(disk, searchFor(undefined), signal);
  const inRoots = [];
  for (const root of roots) {
    assertBootIsHere(root, searchFor(root));
    const paths = await withGuest(target, root, (guest) => searchGuest(guest, searchFor(root)));
    inRoots.push({ root, paths });
  }
  const stray = [];
  for (const volume of volumes.filter((one) => one.content.kind === 'ext' && !isPart(one, roots))) {
    const paths = await searchStray(disk, volume, { search: searchFor(undefined), signal });
    stray.push({ volume, paths });
  }
  const fat = [];
  for (const volume of volumes.filter(({ content }) => content.kind === 'fat'))
    fat.push({ volume, paths: await searchFat(fatTarget(target, volume), searchFor(undefined)) });
  return { roots: inRoots, stray, fat };
}

/** A place where a FAT filesystem of this disk is mounted, which is searched as such. */
function isFatMount({ mounts }: Root, path: string): boolean {
  return mounts.some(({ mountPoint, volume }) => mountPoint === path && volume?.content.kind === 'fat');
}

/** What mounts something of another disk below /boot has files there that cannot be searched. */
function assertBootIsHere({ mounts, volume: system }: Root, search: IdSearch): void {
  for (const { mountPoint, device, volume, obstacle } of mounts) {
    const isBoot = /^\/(boot|efi|etc)(\/|$)/.test(mountPoint);
    if (isBoot && !volume && obstacle === undefined)
      search.refuse(
        `${mountPoint} of the system on ${system.label}`,
        `it is ${device}, which is not on this disk`,
      );
  }
}

function isPart(volume: Volume, roots: readonly Root[]): boolean {
  const same = (other: Volume | undefined): boolean => other?.id === volume.id;
  return roots.some((root) => same(root.volume) || root.mounts.some((mount) => same(mount.volume)));
}

async function searchGrub(disk: ByteSource, search: IdSearch, signal: AbortSignal): Promise<void> {
  const grub = await readEmbeddedGrub(disk, signal);
  const where = "GRUB's program for BIOS machines";
  if (grub.kind === 'none') return;
  if (grub.kind === 'unknown') return search.refuse(where, `it cannot be searched: ${grub.why}`);
  await using unpacked = await firstUnpacked(grub.packed, signal);
  if (!unpacked) return search.refuse(where, 'it cannot be unpacked and searched');
  for (const { read, size } of unpacked.parts) {
    const [hit] = search.ids.find(await read(0, size));
    if (hit)
      search.refuse(where, `its built-in settings have the old id of ${hit.change.what} (${hit.text})`);
  }
}

async function firstUnpacked(
  candidates: readonly SearchedFile[],
  signal: AbortSignal,
): Promise<Unpacked | undefined> {
  for (const candidate of candidates) {
    try {
      return await openUnpacked(candidate, signal);
    } catch (error) {
      if (!(error instanceof TsbuilderError && error.code === 'TSB_TOOL_FAILED')) throw error;
    }
  }
  return undefined;
}

/** A filesystem that no system on the disk mounts may be the /boot of one all the same. */
async function searchStray(
  disk: ByteSource,
  volume: Volume,
  { search, signal }: { search: IdSearch; signal: AbortSignal },
): Promise<string[]> {
  const source = volumeSource(disk, volume);
  const files: GuestFiles | undefined = source && (await openExtFiles(source, signal));
  return files
    ? searchGuest(
        files,
        search,
        STRAY_FOLDERS.map((folder) => [folder, 'boot'] as const),
      )
    : [];
}

async function withGuest<T>(
  { path, ...options }: IdTarget,
  root: Root,
  work: (guest: Guest) => Promise<T>,
): Promise<T> {
  await using guest = await openRoot(path, root, options);
  return await work(guest);
}

function fatTarget(
  { path, fakeTime, signal }: IdTarget,
  { range, label }: Volume,
): Parameters<typeof searchFat>[0] {
  return { path, offset: range?.offset ?? 0, label, fakeTime, signal };
}

async function replaceAll(target: IdTarget, { roots, stray, fat }: Places, ids: IdText): Promise<void> {
  for (const { root, paths } of roots) await withGuest(target, root, (guest) => replaceIn(guest, paths, ids));
  for (const { volume, paths } of stray.filter((one) => one.paths.length > 0)) {
    const { path, ...options } = target;
    await using guest = await openExtGuest(path, { ...options, ...volume.range });
    await replaceIn(guest, paths, ids);
  }
  for (const { volume, paths } of fat) await replaceInFat(fatTarget(target, volume), paths, ids);
}

async function replaceIn(guest: Guest, paths: readonly string[], ids: IdText): Promise<void> {
  await replaceIds(guest, paths, ids);
  await guest.commit();
}

async function writeTable(path: string, { table, tableIds }: DiskIdPlan): Promise<void> {
  if (!table || !tableIds) return;
  const handle = await open(path, 'r+');
  try {
    const { size } = await handle.stat();
    for (const { offset, data } of withNewIds({ name: path, size }, table, tableIds))
      await writeFully({ path, handle }, offset, data);
  } finally {
    await handle.close();
  }
}

/** Reads all again: every id is the new one, no file names an old one, and the systems still find what they mount. */
async function assertRenewed(disk: ByteSource, target: IdTarget, plan: DiskIdPlan): Promise<void> {
  const { random, fail } = checker(target.path);
  const now = await planDiskIds(disk, random, target.signal);
  const wanted = plan.changes.map(({ to }) => to.toLowerCase()).sort();
  const actual = now.changes.map(({ from }) => from.toLowerCase()).sort();
  if (wanted.join() !== actual.join()) fail(`it has the ids ${actual.join(', ')}`);
  const { roots, stray, fat } = await findPlaces(disk, target, { ...now, changes: plan.changes });
  const [left] = [...roots, ...stray, ...fat].flatMap(({ paths }) => paths);
  if (left !== undefined) fail(`${left} still has an old id`);
}

function checker(path: string): { random: RandomSource; fail: (what: string) => never } {
  return {
    // Nothing is made of these.
    random: {
      seeded: true,
      bytes: (length) => Buffer.alloc(length),
      uuid: () => '00000000-0000-4000-8000-000000000000',
    },
    fail: (what) => {
      throw new TsbuilderError('TSB_INTERNAL', `${path}: after the disk got new ids, ${what}`);
    },
  };
}

function filesOf({ roots, stray, fat }: Places): string[] {
  const on = ({ volume, paths }: { volume: Volume; paths: readonly string[] }): string[] =>
    paths.map((path) => `${path.replace(/^::/, '')} on ${volume.label}`);
  return [...roots.flatMap(({ paths }) => paths), ...stray.flatMap(on), ...fat.flatMap(on)];
}
