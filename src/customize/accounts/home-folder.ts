import { TsbuilderError } from '../../errors.js';
import type { Guest, GuestEntry } from '../../guest/guest.js';

const SKEL = '/etc/skel';
const MAX_ENTRIES = 10_000;
const MAX_DEPTH = 32;

/** Whose home, where, and with which permission bits. */
export interface HomeFolder {
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Makes a home folder with copies of all that is in /etc/skel, which belong to the user. A folder that exists stays as it
 * is.
 *
 * @returns whether it was made
 * @throws TSB_GUEST when something is in the way, or /etc/skel is no skeleton of a home (10000 files or 32 levels)
 */
export async function makeHome(guest: Guest, home: HomeFolder): Promise<boolean> {
  if (await guest.exists(home.path)) {
    if ((await guest.stat(home.path)).type === 'directory') return false;
    throw new TsbuilderError(
      'TSB_GUEST',
      `${home.path} in ${guest.name} is no folder, and cannot be a home`,
      {
        hint: 'Choose another one: home=PATH.',
        details: { path: home.path, reason: 'in-the-way' },
      },
    );
  }
  const { path, mode, uid, gid } = home;
  const parent = path.replace(/\/+[^/]*\/*$/, '');
  if (parent !== '') await guest.mkdir(parent, { parents: true });
  await guest.mkdir(path, { mode, uid, gid });
  if (await guest.exists(SKEL))
    await copyFolder(guest, { from: SKEL, to: path, depth: 0 }, { home, count: 0 });
  return true;
}

async function copyFolder(
  guest: Guest,
  { from, to, depth }: { readonly from: string; readonly to: string; readonly depth: number },
  state: { readonly home: HomeFolder; count: number },
): Promise<void> {
  for (const entry of await guest.entries(from, { details: true })) {
    state.count += 1;
    if (state.count > MAX_ENTRIES || depth >= MAX_DEPTH) {
      throw new TsbuilderError(
        'TSB_GUEST',
        `${SKEL} in ${guest.name} is too large to be a skeleton of a home`,
        {
          details: { path: SKEL, reason: 'too-large' },
        },
      );
    }
    const paths = { from: `${from}/${entry.name ?? ''}`, to: `${to}/${entry.name ?? ''}`, depth: depth + 1 };
    if (entry.stat?.type === 'directory' && entry.name !== undefined) {
      await guest.mkdir(paths.to, attributes(entry, state.home));
      await copyFolder(guest, paths, state);
    } else {
      await copyFile(guest, entry, { ...paths, home: state.home });
    }
  }
}

/** Devices, sockets and names that are no text have no place in a home: they are left out. */
async function copyFile(
  guest: Guest,
  entry: GuestEntry,
  { from, to, home }: { readonly from: string; readonly to: string; readonly home: HomeFolder },
): Promise<void> {
  if (entry.name === undefined) return;
  if (entry.stat?.type === 'file')
    await guest.writeFile(to, await guest.readFile(from), attributes(entry, home));
  if (entry.stat?.type === 'symlink') {
    const { uid, gid } = home;
    await guest.symlink(await guest.readLink(from), to, { uid, gid });
  }
}

function attributes(entry: GuestEntry, { uid, gid }: HomeFolder): { mode: number; uid: number; gid: number } {
  // Set-uid bits meant root's files; in a copy they would be the user's.
  return { mode: (entry.stat?.mode ?? 0o644) & 0o777, uid, gid };
}
