import { chmod, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { exec } from '../../io/exec.js';
import { formatIdentity, ownIdentity, parseIdentity, processState } from '../../io/process-identity.js';
import { execAsRoot } from './root.js';

const PREFIX = 'tsbuilder-template-';

let counter = 0;

/**
 * A folder for gigabytes of intermediate files: in $TMPDIR, else in /var/tmp, since /tmp may be in memory. Its name tells
 * which process uses it; the folders of processes that have died are removed first.
 */
export async function openWorkFolder(): Promise<AsyncDisposable & { path: string }> {
  const parent = process.env['TMPDIR'] ?? '/var/tmp';
  await mkdir(parent, { recursive: true });
  await sweep(parent);
  counter += 1;
  const path = join(parent, `${PREFIX}${formatIdentity(ownIdentity())}.${counter}`);
  await mkdir(path, { mode: 0o700 });
  // The users of a namespace, who are others to the kernel, must be able to enter.
  await chmod(path, 0o711);
  return { path, [Symbol.asyncDispose]: () => removeFolder(path) };
}

async function sweep(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(PREFIX)) continue;
    const owner = parseIdentity(name.slice(PREFIX.length).replace(/\.\d+$/, ''));
    // Another user's folder cannot be removed, and need not be.
    if (owner && processState(owner) === 'dead')
      await removeFolder(join(parent, name)).catch(() => undefined);
  }
}

/**
 * Removes a work folder with everything in it, also files that belong to the subordinate users of a namespace, but
 * nothing of another filesystem that may still be mounted there.
 */
async function removeFolder(path: string): Promise<void> {
  const args = ['-rf', '--one-file-system', '--', path];
  const { status } = await exec('rm', args, { okStatus: [0, 1] });
  if (status !== 0) await execAsRoot('rm', args);
}
