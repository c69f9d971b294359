import { lstat, readdir, readlink, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatIdentity, ownIdentity, parseIdentity, processState } from './process-identity.js';
import { makeTemporaryFolder } from './temporary-folder.js';

/** A private folder for what is needed for a while; disposing it removes it with all that is in it. */
export interface ScratchFolder extends AsyncDisposable {
  readonly path: string;
}

/** `tsbuilder-PURPOSE-PROCESS-RANDOM` */
const NAME = /^tsbuilder-[a-z0-9]+-(\d+-\d+-[0-9a-f]{16})-[A-Za-z0-9]{6}$/;

const swept = new Map<string, Promise<void>>();

/**
 * Makes an empty folder of mode 0700 below the system's temporary folder. Its name tells which process it belongs to: the first call of a
 * process removes those that killed ones have left.
 *
 * @param purpose letters and digits for its name
 * @throws TSB_NO_SPACE or TSB_OUTPUT_UNUSABLE when it cannot be made
 */
export async function openScratchFolder(purpose: string): Promise<ScratchFolder> {
  const parent = tmpdir();
  if (!swept.has(parent)) swept.set(parent, sweepScratchFolders(parent));
  await swept.get(parent);
  const path = await makeTemporaryFolder(`tsbuilder-${purpose}-${formatIdentity(ownIdentity())}-`);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/**
 * Removes the scratch folders in `parent` whose process has died, but those that a program still works in: what a killed
 * process had started may live on, and have its undo file there. Folders of other users and of other process tables stay.
 */
export async function sweepScratchFolders(parent: string): Promise<void> {
  // What cannot be read or removed is not worth an error.
  const folder = await realpath(parent).catch(() => parent);
  const names = await readdir(folder).catch(() => []);
  const left: string[] = [];
  for (const name of names) {
    const owner = parseIdentity(NAME.exec(name)?.[1] ?? '');
    if (owner && processState(owner) === 'dead') left.push(join(folder, name));
  }
  if (left.length === 0) return;
  const used = await workingFolders();
  if (!used) return;
  for (const path of left) {
    if (used.has(path) || !(await isOwnFolder(path))) continue;
    await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** Anybody can make a name in the temporary folder: a link is not followed, and another user's folder not touched. */
async function isOwnFolder(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  return found?.isDirectory() === true && found.uid === process.getuid?.();
}

/** The folders that running programs work in, or undefined where there is no /proc to tell. */
async function workingFolders(): Promise<Set<string> | undefined> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  if (pids.length === 0) return undefined;
  const folders = new Set<string>();
  for (const pid of pids) {
    const folder = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
    if (folder !== undefined) folders.add(folder);
  }
  return folders;
}
