import { TsbuilderError } from '../errors.js';
import type { Content } from '../probe/superblocks.js';

/** A place of a disk that can hold a filesystem. */
export interface LookPlace {
  /** A partition's number (0: the whole disk), or `group/volume` of an LVM volume. */
  readonly id: string;
  /** For messages; empty for the disk itself. */
  readonly label: string;
  readonly content: Content;
  /** Why nothing can be read from it. */
  readonly obstacle?: string | undefined;
}

/** The error for a disk, named for messages, whose `places` have no filesystem that can be looked into. */
export function cannotLook(disk: { readonly name: string }, places: readonly LookPlace[]): TsbuilderError {
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
      ? `${only.label === '' ? '' : `${only.label} of `}${disk.name} holds ${nameOf(only)}: only ext2, ext3 and ext4 can be looked into`
      : `${disk.name}: no ext2, ext3 or ext4 filesystem: ${places.map((place) => `${place.id}: ${nameOf(place)}`).join(', ')}`;
  return new TsbuilderError('TSB_FILESYSTEM', message, { hint: guestfishHint(places) });
}

/** guestfish 1.48 cannot be handed a Unix socket by a URI, so the server listens on TCP, on any free port. */
function guestfishHint(places: readonly LookPlace[]): string {
  const [only] = places;
  const look = places.length === 1 && only ? `mount ${deviceOf(only.id)} / : ls /` : 'list-filesystems';
  return (
    'libguestfs reads many more filesystems: ' +
    `tsbuilder serve SRC --tcp 127.0.0.1:0 --run 'guestfish --ro --format=raw -a "$uri" run : ${look}'`
  );
}

function deviceOf(id: string): string {
  if (id.includes('/')) return `/dev/${id}`;
  return `/dev/sda${id === '0' ? '' : id}`;
}

const nameOf = ({ content, obstacle }: LookPlace): string =>
  obstacle ?? (content.kind === 'unknown' ? 'nothing that is known' : content.name);
