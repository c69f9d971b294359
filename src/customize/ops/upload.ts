import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { TsbuilderError } from '../../errors.js';
import type { Guest } from '../../guest/guest.js';
import { untilAborted } from '../../io/or-aborted.js';
import { fieldsOperation, guestPath, hostPath } from '../files/argument.js';
import { destination } from '../files/guest-files.js';
import { statHost } from '../files/host-stat.js';
import type { CustomizeContext } from '../operation-kind.js';

/** Copies one file into the guest. */
export const upload = fieldsOperation({
  name: 'upload',
  argument: 'FILE:DEST',
  summary:
    'Copy a file of this machine, with its permissions and owner, to a path or into a folder of the guest.',
  fields: { file: hostPath, destination: guestPath },
  hostFiles: ({ file }) => [{ path: file }],
  describe: ({ file, destination: to }) => `upload ${file} to ${to}`,
  apply: uploadFile,
});

async function uploadFile(
  guest: Guest,
  value: { file: string; destination: string },
  { signal }: CustomizeContext,
): Promise<void> {
  const { file } = value;
  const found = await statHost(file);
  if (found.isDirectory()) {
    throw new TsbuilderError('TSB_USAGE', `${file}: a folder`, { hint: 'Use copy-in for folders.' });
  }
  const to = await destination(guest, value.destination, { name: basename(file), type: 'file' });
  // What is no file, such as a pipe, can be read only once.
  const content = found.isFile() ? { hostFile: file } : untilAborted(createReadStream(file), signal);
  await guest.writeFile(to, content, { mode: found.mode & 0o7777, uid: found.uid, gid: found.gid });
}
