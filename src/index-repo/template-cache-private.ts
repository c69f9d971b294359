import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { acquireLock, tryLock } from '../io/lock-file.js';
import { makeTemporaryFolder, temporaryFolder } from '../io/temporary-folder.js';

/** A folder of this process's own, removed when it is disposed of. */
interface PrivateFolder extends AsyncDisposable {
  readonly path: string;
}

const PREFIX = 'tsbuilder-download-';

/**
 * Makes a folder for one download under `$TMPDIR`, else `/var/tmp`, which unlike `/tmp` is rarely held in memory. What
 * killed processes left there is removed first.
 *
 * @throws TSB_NO_SPACE or TSB_OUTPUT_UNUSABLE when no folder can be made
 */
export async function openPrivateFolder(): Promise<PrivateFolder> {
  const parent = await temporaryFolder();
  await sweep(parent);
  const path = await makeTemporaryFolder(PREFIX, parent);
  const lock = await acquireLock(ownerLock(path));
  return {
    path,
    async [Symbol.asyncDispose]() {
      await lock[Symbol.asyncDispose]();
      await rm(path, { recursive: true, force: true });
    },
  };
}

function ownerLock(folder: string): string {
  return join(folder, 'owner');
}

/** Removes folders whose owner is dead. A folder that has only just been made may have no owner yet: it stays an hour. */
async function sweep(parent: string): Promise<void> {
  const names = (await listNames(parent)).filter((name) => name.startsWith(PREFIX));
  for (const name of names) {
    const folder = join(parent, name);
    const found = await stat(folder).catch(() => undefined);
    if (!found || found.uid !== process.getuid?.()) continue;
    const hasOwner = (await listNames(folder)).includes('owner');
    if (!hasOwner && Date.now() - found.mtimeMs < 3_600_000) continue;
    const lock = await tryLock(ownerLock(folder)).catch(() => undefined);
    if (lock) await rm(folder, { recursive: true, force: true });
    await lock?.[Symbol.asyncDispose]();
  }
}

async function listNames(dir: string): Promise<string[]> {
  return readdir(dir).catch((): string[] => []);
}
