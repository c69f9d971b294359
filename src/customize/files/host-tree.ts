import type { BigIntStats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { TsbuilderError } from '../../errors.js';
import type { FileAttributes, Guest } from '../../guest/guest.js';
import { inside } from './guest-files.js';
import { deviceNumbers, hostError } from './host-stat.js';
import { type Entry, placeEntry } from './place-entry.js';

/** What copying from this machine needs besides the guest. */
export interface HostCopyOptions {
  warn(message: string): void;
  readonly signal?: AbortSignal | undefined;
}

interface HostCopy extends HostCopyOptions {
  readonly guest: Guest;
  /** Where each file with several names has come to lie first, by device and inode. */
  readonly placed: Map<string, string>;
}

/**
 * Copies a file, link or folder of this machine with all in it into the folder `folder` of the guest: modes, numbers of
 * owners, times, links, hard links, devices and fifos are as they are here. Sockets are left out. Of a path that ends
 * in `.` the content is copied, not the folder itself.
 *
 * @throws TSB_NOT_FOUND, TSB_IO for files here; TSB_GUEST for those there
 */
export async function copyHostTree(
  guest: Guest,
  paths: { local: string; folder: string },
  options: HostCopyOptions,
): Promise<void> {
  const copy: HostCopy = {
    guest,
    placed: new Map(),
    signal: options.signal,
    warn: (message) => options.warn(message),
  };
  const local = resolve(paths.local);
  if (basename(paths.local) === '.') await copyContent(copy, local, paths.folder);
  else await copyOne(copy, local, inside(paths.folder, basename(local)));
}

async function copyOne(copy: HostCopy, local: string, to: string): Promise<void> {
  copy.signal?.throwIfAborted();
  const stat = await lstat(local, { bigint: true }).catch((error: unknown) => {
    throw hostError(local, error);
  });
  const entry = await entryOf(copy, local, stat);
  if (!entry) {
    copy.warn(`${local}: a socket, not copied`);
    return;
  }
  const attributes = attributesOf(stat);
  await placeEntry(copy.guest, to, { entry, attributes });
  if (entry.type !== 'directory') {
    if (stat.nlink > 1n) copy.placed.set(keyOf(stat), to);
    return;
  }
  await copyContent(copy, local, to);
  if (attributes.mtime !== undefined) await copy.guest.setTime(to, attributes.mtime);
}

async function copyContent(copy: HostCopy, local: string, to: string): Promise<void> {
  const names = await readdir(local, { encoding: 'buffer' }).catch((error: unknown) => {
    throw hostError(local, error);
  });
  for (const raw of names.sort((a, b) => a.compare(b))) {
    const name = raw.toString();
    if (!Buffer.from(name).equals(raw)) {
      throw new TsbuilderError('TSB_USAGE', `${local}: the name ${JSON.stringify(name)} is no UTF-8`, {
        hint: 'Rename it.',
      });
    }
    await copyOne(copy, join(local, name), inside(to, name));
  }
}

async function entryOf(copy: HostCopy, local: string, stat: BigIntStats): Promise<Entry | undefined> {
  if (stat.isDirectory()) return { type: 'directory' };
  const existing = copy.placed.get(keyOf(stat));
  if (existing !== undefined) return { type: 'hardlink', existing };
  if (stat.isSymbolicLink()) return { type: 'symlink', target: await readlink(local) };
  if (stat.isFile()) return { type: 'file', content: { hostFile: local } };
  if (stat.isFIFO()) return { type: 'fifo' };
  if (stat.isSocket()) return undefined;
  return { type: stat.isBlockDevice() ? 'block' : 'character', device: deviceNumbers(stat) };
}

const keyOf = (stat: BigIntStats): string => `${stat.dev}:${stat.ino}`;

function attributesOf(stat: BigIntStats): FileAttributes {
  return {
    mode: Number(stat.mode) & 0o7777,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtime: Math.floor(Number(stat.mtimeMs) / 1000),
  };
}
