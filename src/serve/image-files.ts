import { describeDisk } from '../build/describe-disk.js';
import { TsbuilderError } from '../errors.js';
import { openExtFiles } from '../guest/ext/open-ext-guest.js';
import type { GuestFiles } from '../guest/guest.js';
import { type ByteSource, sliceSource } from '../io/byte-source.js';
import type { DiskSource } from '../io/disk-source.js';
import type { Progress } from '../progress.js';
import { probeContent } from '../probe/probe-content.js';
import type { Content } from '../probe/superblocks.js';
import { openPartition } from './partition-disk.js';

/** A filesystem inside a disk, for reading. */
export interface ImageFiles {
  /** Number of its partition; 0: it fills the disk. */
  readonly partition: number;
  readonly files: GuestFiles;
}

interface Place {
  readonly number: number;
  readonly source: ByteSource;
  readonly content: Content;
}

/**
 * Opens an ext2/3/4 filesystem of `disk` with few and small reads: that of `partition`, or without one the only one there is, or the
 * one of several that is the root of a system.
 *
 * @throws TSB_PARTITION_NOT_FOUND, TSB_PARTITION_TABLE; TSB_FILESYSTEM when there is no ext filesystem or it is damaged; TSB_GUEST
 *   when it cannot be told which of several is meant
 */
export async function openImageFiles(
  disk: DiskSource,
  options: {
    readonly partition?: number | undefined;
    readonly progress: Progress;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<ImageFiles> {
  const { partition, progress, signal } = options;
  const place =
    partition === undefined ? await choosePlace(disk, signal) : await findPlace(disk, partition, signal);
  if (place.content.features?.includes('needs_recovery')) {
    progress.warn(
      `${describePlace(disk, place.number)} was not unmounted: what is in its journal only is not seen`,
    );
  }
  return { partition: place.number, files: await openExtFiles(place.source, signal) };
}

async function findPlace(disk: DiskSource, number: number, signal: AbortSignal | undefined): Promise<Place> {
  const partition = number === 0 ? disk : await openPartition(disk, number, signal);
  const content = await probeContent(partition, { offset: 0, length: partition.size }, signal);
  const place = { number, source: partition, content };
  if (content.kind !== 'ext') throw cannotRead(disk, [place]);
  return place;
}

async function choosePlace(disk: DiskSource, signal: AbortSignal | undefined): Promise<Place> {
  const { partitions } = await describeDisk(disk, signal);
  const places = partitions
    .filter(({ offset, length }) => offset + length <= disk.size)
    .map(({ number, offset, length, content }) => ({
      number,
      source: sliceSource(disk, offset, length),
      content,
    }));
  const candidates = places.filter(({ content }) => content.kind === 'ext');
  const [first] = candidates;
  if (!first) throw cannotRead(disk, places);
  if (candidates.length === 1) return first;
  const roots: Place[] = [];
  for (const candidate of candidates) {
    if (await isRoot(await openExtFiles(candidate.source, signal))) roots.push(candidate);
  }
  const [root] = roots;
  if (root && roots.length === 1) return root;
  const numbers = (root ? roots : candidates).map(({ number }) => number).join(', ');
  throw new TsbuilderError(
    'TSB_GUEST',
    `${disk.name}: several filesystems could be meant: partitions ${numbers}`,
    { hint: 'Choose one: --partition N, or :N after the name.' },
  );
}

/** Only names are looked at: every file that were read would cost a block of the image. */
async function isRoot(files: GuestFiles): Promise<boolean> {
  const names = (await files.entries('/')).map(({ rawName }) => rawName);
  return names.includes('etc') && ['bin', 'usr', 'sbin'].some((name) => names.includes(name));
}

const describePlace = (disk: DiskSource, number: number): string =>
  number === 0 ? disk.name : `partition ${number} of ${disk.name}`;

function cannotRead(disk: DiskSource, places: readonly Place[]): TsbuilderError {
  const [only] = places;
  if (!only) {
    return new TsbuilderError(
      'TSB_FILESYSTEM',
      `${disk.name}: holds no partitions and no filesystem that is known`,
      { hint: 'tsbuilder info shows what it is.' },
    );
  }
  const message =
    places.length === 1
      ? `${describePlace(disk, only.number)} holds ${nameOf(only)}: only ext2, ext3 and ext4 can be looked into`
      : `${disk.name}: no ext2, ext3 or ext4 filesystem: ${places.map((place) => `${place.number}: ${nameOf(place)}`).join(', ')}`;
  return new TsbuilderError('TSB_FILESYSTEM', message, { hint: guestfishHint(places) });
}

/** guestfish 1.48 cannot be handed a Unix socket by a URI, so the server listens on TCP, on any free port. */
function guestfishHint(places: readonly Place[]): string {
  const [only] = places;
  const device = `/dev/sda${only?.number === 0 ? '' : only?.number}`;
  const look = places.length === 1 ? `mount ${device} / : ls /` : 'list-filesystems';
  return (
    'libguestfs reads many more filesystems: ' +
    `tsbuilder serve SRC --tcp 127.0.0.1:0 --run 'guestfish --ro --format=raw -a "$uri" run : ${look}'`
  );
}

const nameOf = ({ content }: Place): string =>
  content.kind === 'unknown' ? 'nothing that is known' : content.name;
