import type { Guest } from '../../guest/guest.js';
import { openFileSource } from '../../io/file-source.js';
import { fieldsOperation, guestPath, hostPath } from '../files/argument.js';
import { guestError, isFolder } from '../files/guest-files.js';
import type { CustomizeContext } from '../operation-kind.js';
import { unpackTar } from '../tar/unpack-tar.js';

/** Unpacks an archive into the guest. */
export const tarIn = fieldsOperation({
  name: 'tar-in',
  argument: 'TARFILE:REMOTEDIR',
  summary: 'Unpack an uncompressed tar archive of this machine into a folder of the guest.',
  fields: { archive: hostPath, folder: guestPath },
  hostFiles: ({ archive }) => [{ path: archive }],
  describe: ({ archive, folder }) => `unpack ${archive} into ${folder}`,
  apply: unpack,
});

async function unpack(
  guest: Guest,
  { archive, folder }: { archive: string; folder: string },
  context: CustomizeContext,
): Promise<void> {
  if (!(await isFolder(guest, folder))) {
    throw guestError(guest, folder, { text: 'no such folder', reason: 'not-folder' });
  }
  await using source = await openFileSource(archive);
  await unpackTar(guest, { source, folder }, context);
}
