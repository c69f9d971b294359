import { TsbuilderError } from '../errors.js';
import type { GuestfishShell } from './appliance-shell.js';
import { guestfishLists, isListable } from './appliance-words.js';
import type { FileType } from './guest.js';
import type { BaseFile, BaseFilesystem, BaseId } from './tree.js';

/** A reply of libguestfs has 4 MiB at most. */
const MAX_READ = 2 * 1024 * 1024;

const TYPES: Readonly<Record<number, FileType>> = {
  0o140000: 'socket',
  0o120000: 'symlink',
  0o100000: 'file',
  0o060000: 'block',
  0o040000: 'directory',
  0o020000: 'character',
  0o010000: 'fifo',
};

interface KnownFile extends BaseFile {
  /** One of its paths, a byte string. */
  readonly path: string;
  /** The number of its filesystem. */
  readonly filesystem: number;
}

/** {@link BaseFilesystem} of what is mounted in an appliance. */
export interface ApplianceBase extends BaseFilesystem {
  /** A path of a file that was looked up, a byte string. */
  pathOf(id: BaseId): string;
  /** Whether a file is on the same filesystem as the root folder. */
  inRoot(id: BaseId): boolean;
}

/**
 * The mounted filesystems of an appliance, all as one. Numbers are given to files as they are met, one for all hard links.
 * Every path that is sent has no symbolic link in it, because the tree above resolves them.
 */
export async function openApplianceBase(shell: GuestfishShell, name: string): Promise<ApplianceBase> {
  const ids = new Map<string, BaseId>();
  const files = new Map<BaseId, KnownFile>();
  const known = (id: BaseId): KnownFile => {
    const file = files.get(id);
    if (!file) throw new TsbuilderError('TSB_INTERNAL', `${name}: there is no file ${id}`);
    return file;
  };
  const meet = (path: string, stat: Stat): BaseId => {
    const key = `${stat.dev}:${stat.ino}`;
    const id = ids.get(key) ?? ids.size + 1;
    ids.set(key, id);
    if (!files.has(id)) files.set(id, { ...baseFile(stat), id, path, filesystem: stat.dev });
    return id;
  };
  const rootId = meet('/', await statOf(shell, '/'));
  return {
    name,
    rootId,
    pathOf: (id) => known(id).path,
    inRoot: (id) => known(id).filesystem === known(rootId).filesystem,
    file: (id) => Promise.resolve(known(id)),
    async entries(id) {
      const { path } = known(id);
      const stats = await statAll(shell, path, await namesIn(shell, path));
      return new Map([...stats].map(([entry, stat]) => [entry, meet(below(path, entry), stat)]));
    },
    async content(id, { offset, length }) {
      const { path, size } = known(id);
      const pieces: Buffer[] = [];
      const end = Math.min(size, offset + length);
      for (let at = offset; at < end; at += MAX_READ) {
        pieces.push(await shell.send('pread', path, String(Math.min(MAX_READ, end - at)), String(at)));
      }
      return Buffer.concat(pieces);
    },
    async target(id) {
      return (await shell.send('readlink', known(id).path)).toString('latin1').slice(0, -1);
    },
    xattrs: (id) => xattrsOf(shell, known(id).path),
  };
}

const below = (folder: string, name: string): string => `${folder === '/' ? '' : folder}/${name}`;

async function namesIn(shell: GuestfishShell, path: string): Promise<string[]> {
  return (await shell.send('ls0', path, '-')).toString('latin1').split('\0').filter(Boolean);
}

interface Stat {
  readonly dev: number;
  readonly ino: string;
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly size: number;
  readonly mtime: number;
}

async function statOf(shell: GuestfishShell, path: string): Promise<Stat> {
  const [stat] = parseStats(await shell.send('lstatns', path));
  if (stat) return stat;
  throw new TsbuilderError('TSB_TOOL_FAILED', `guestfish says nothing of ${JSON.stringify(path)}`);
}

/** What the files of a folder are, most of them with few commands. */
async function statAll(
  shell: GuestfishShell,
  path: string,
  names: readonly string[],
): Promise<Map<string, Stat>> {
  const stats = new Map<string, Stat>();
  for (const list of guestfishLists(names.filter(isListable))) {
    const found = parseStats(await shell.send('lstatnslist', path, list.join(' ')));
    if (found.length !== list.length) throw new TsbuilderError('TSB_TOOL_FAILED', 'guestfish left files out');
    list.forEach((name, index) => stats.set(name, found[index] as Stat));
  }
  for (const name of names.filter((each) => !isListable(each))) {
    stats.set(name, await statOf(shell, below(path, name)));
  }
  return stats;
}

/** The structures that guestfish prints: numbers only, each behind its name. */
function parseStats(output: Buffer): Stat[] {
  return output
    .toString('latin1')
    .split(/(?=\bst_dev: )/)
    .filter((text) => text.startsWith('st_dev: '))
    .map((text) => {
      const field = (name: string): number => Number(new RegExp(`\\bst_${name}: (-?\\d+)`).exec(text)?.[1]);
      return {
        dev: field('dev'),
        // Inode numbers of XFS and btrfs may not fit into a number.
        ino: /\bst_ino: (\d+)/.exec(text)?.[1] ?? '',
        mode: field('mode'),
        links: field('nlink'),
        uid: field('uid'),
        gid: field('gid'),
        rdev: field('rdev'),
        size: field('size'),
        mtime: field('mtime_sec'),
      };
    });
}

function baseFile(stat: Stat): Omit<BaseFile, 'id'> {
  const { mode, uid, gid, size, mtime, links, rdev } = stat;
  const type = TYPES[mode & 0o170000];
  if (type === undefined || !Number.isSafeInteger(size)) {
    throw new TsbuilderError('TSB_TOOL_FAILED', `guestfish describes a file of mode ${mode.toString(8)}`);
  }
  const device = type === 'block' || type === 'character' ? deviceNumber(rdev) : undefined;
  return { type, mode: mode & 0o7777, uid, gid, size, mtime, links, outerAttributes: false, device };
}

/** The kernel's encoding of device numbers for programs (sys/sysmacros.h): twelve bits of major, twenty of minor. */
function deviceNumber(rdev: number): { major: number; minor: number } {
  return { major: (rdev >>> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00) };
}

/**
 * Values are asked for one by one: how guestfish prints them together does not tell all bytes apart. A name that is not
 * plain is left out: guestfish's list could not tell it from others.
 */
async function xattrsOf(shell: GuestfishShell, path: string): Promise<Map<string, Buffer>> {
  const list = (await shell.send('lgetxattrs', path)).toString('latin1');
  const names = [...list.matchAll(/^ {2}attrname: ([A-Za-z0-9_.:@+-]+)$/gm)].map((match) => match[1] ?? '');
  const values = new Map<string, Buffer>();
  for (const name of new Set(names)) values.set(name, await shell.send('-lgetxattr', path, name));
  return values;
}
