import type { Guest } from '../../guest/guest.js';
import { fieldsOperation, guestPath, hostPath } from '../files/argument.js';
import { guestError, isFolder } from '../files/guest-files.js';
import { copyHostTree } from '../files/host-tree.js';
import type { CustomizeContext } from '../operation-kind.js';

/** Copies from this machine into the guest. */
export const copyIn = fieldsOperation({
  name: 'copy-in',
  argument: 'LOCALPATH:REMOTEDIR',
  summary: 'Copy a file or a folder with all in it from this machine into a folder of the guest.',
  fields: { local: hostPath, folder: guestPath },
  hostFiles: ({ local }) => [{ path: local, orFolder: true }],
  describe: ({ local, folder }) => `copy ${local} into ${folder}`,
  apply: copyInto,
});

async function copyInto(
  guest: Guest,
  value: { local: string; folder: string },
  context: CustomizeContext,
): Promise<void> {
  if (!(await isFolder(guest, value.folder))) {
    throw guestError(guest, value.folder, { text: 'no such folder', reason: 'not-folder' });
  }
  await copyHostTree(guest, value, context);
}
