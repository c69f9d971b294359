import { appendLine } from '../../src/customize/ops/append-line.js';
import { chmod } from '../../src/customize/ops/chmod.js';
import { chown } from '../../src/customize/ops/chown.js';
import { copyIn } from '../../src/customize/ops/copy-in.js';
import { copy } from '../../src/customize/ops/copy.js';
import { deletePath } from '../../src/customize/ops/delete.js';
import { edit } from '../../src/customize/ops/edit.js';
import { link } from '../../src/customize/ops/link.js';
import { mkdir } from '../../src/customize/ops/mkdir.js';
import { move } from '../../src/customize/ops/move.js';
import { scrub } from '../../src/customize/ops/scrub.js';
import { tarIn } from '../../src/customize/ops/tar-in.js';
import { touch } from '../../src/customize/ops/touch.js';
import { truncate, truncateRecursive } from '../../src/customize/ops/truncate.js';
import { upload } from '../../src/customize/ops/upload.js';
import { write } from '../../src/customize/ops/write.js';
import type { CustomizeContext, FileOperationKind } from '../../src/customize/operation-kind.js';
import { openExtGuest } from '../../src/guest/ext/open-ext-guest.js';
import type { Guest, GuestFiles } from '../../src/guest/guest.js';
import { seededRandom } from '../../src/io/random.js';
import { OFFSET } from './guest-image.js';

/** The operations on files, by name. */
export const FILE_OPERATIONS = {
  'append-line': appendLine,
  chmod,
  chown,
  copy,
  'copy-in': copyIn,
  delete: deletePath,
  edit,
  link,
  mkdir,
  move,
  scrub,
  'tar-in': tarIn,
  touch,
  truncate,
  'truncate-recursive': truncateRecursive,
  upload,
  write,
} as const;

export type FileOperationName = keyof typeof FILE_OPERATIONS;

/** The time that everything is done at. */
export const NOW = 1_700_000_000;

export const openGuest = (path: string): Promise<Guest> =>
  openExtGuest(path, { offset: OFFSET, fakeTime: NOW });

/** Does one operation in its form of the command line. Returns the warnings. */
export async function apply(guest: Guest, name: FileOperationName, text: string): Promise<string[]> {
  const warnings: string[] = [];
  const context: CustomizeContext = {
    random: seededRandom('test'),
    now: NOW,
    warn: (message) => warnings.push(message),
    secret: () => undefined,
    hostKeys: () => undefined,
  };
  const kind = FILE_OPERATIONS[name] as unknown as FileOperationKind<unknown>;
  await kind.apply(guest, kind.parse(text), context);
  return warnings;
}

/** Does operations on a disk made by `makeExtImage` and commits. Returns the warnings. */
export async function applyAll(
  path: string,
  operations: readonly (readonly [FileOperationName, string])[],
): Promise<string[]> {
  await using guest = await openGuest(path);
  const warnings: string[] = [];
  for (const [name, text] of operations) warnings.push(...(await apply(guest, name, text)));
  await guest.commit();
  return warnings;
}

/** Everything in a guest by path: type, permissions, owner, and content, target or device. */
export async function treeOf(files: GuestFiles, folder = '/'): Promise<Map<string, string>> {
  const tree = new Map<string, string>();
  for (const name of await files.list(folder)) {
    const path = `${folder === '/' ? '' : folder}/${name}`;
    const { type, mode, uid, gid, links, device } = await files.lstat(path);
    let what = '';
    if (type === 'file') what = JSON.stringify((await files.readFile(path)).toString('latin1'));
    else if (type === 'symlink') what = `-> ${await files.readLink(path)}`;
    else if (device) what = `${device.major}:${device.minor}`;
    const names = type === 'file' && links > 1 ? ` x${links}` : '';
    tree.set(path, `${type} ${mode.toString(8)} ${uid}:${gid}${names} ${what}`.trimEnd());
    if (type === 'directory') for (const [below, line] of await treeOf(files, path)) tree.set(below, line);
  }
  return tree;
}
