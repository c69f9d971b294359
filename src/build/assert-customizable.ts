import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { named } from '../customize/apply-operations.js';
import { seedHostFiles } from '../customize/cloud-init/seed-files.js';
import type { HostFile } from '../customize/operation-kind.js';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { assertGuestfish } from '../io/guestfish.js';
import type { CustomizeWork } from './customize-work.js';

/**
 * Checks before any work what operations need of this machine: their files, which are not read yet, and libguestfs where programs of
 * the guest are to be run.
 *
 * @throws TSB_NOT_FOUND for a file that is missing or cannot be read, TSB_USAGE for a folder in place of one, TSB_TOOL_MISSING
 */
export async function assertCustomizable(
  {
    stages,
    cloudInitDisk,
    machine,
  }: Pick<CustomizeWork, 'stages' | 'cloudInitDisk'> & Partial<Pick<CustomizeWork, 'machine'>>,
  signal: AbortSignal,
): Promise<void> {
  for (const { kind, value } of stages.flatMap(({ operations }) => operations)) {
    for (const file of kind.hostFiles?.(value) ?? []) await named(kind.name, () => assertReadable(file));
  }
  for (const file of cloudInitDisk ? seedHostFiles(cloudInitDisk.choice) : [])
    await named('cloud-init', () => assertReadable(file));
  for (const path of machine?.attach ?? []) await named('attach', () => assertReadable({ path }));
  const inGuest = stages.find(({ runs }) => runs === 'in-guest')?.operations[0];
  if (inGuest) await assertGuestfish(`--${inGuest.kind.name}`, signal);
}

async function assertReadable({ path, orFolder }: HostFile): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  if (found.isDirectory() && orFolder !== true) {
    throw new TsbuilderError('TSB_USAGE', `${path}: is a folder`, { hint: 'Name a file.' });
  }
  await access(path, constants.R_OK).catch((error: unknown) => {
    throw unreadable(path, error);
  });
}

function unreadable(path: string, error: unknown): TsbuilderError {
  const code = errnoOf(error);
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: 'no such file',
    ENOTDIR: 'no such file',
    EACCES: 'may not be read',
  };
  return new TsbuilderError('TSB_NOT_FOUND', `${path}: ${reasons[code ?? ''] ?? messageOf(error)}`, {
    hint: 'Files of this machine are named relative to the working folder.',
    details: { path },
    cause: error,
  });
}
