import { appendFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { logPath, mountState, resolveFolder } from './mount-record.js';

/** More lines say nothing new. */
const MAX_LINES = 200;

/** A log for the server of the mount on `dir`, kept with its state: `umount` shows it. Lines that cannot be written are lost. */
export function appendLog(dir: string): (line: string) => void {
  const folder = resolve(dir);
  let lines = 0;
  let chain = Promise.resolve();
  return (line) => {
    lines += 1;
    if (lines > MAX_LINES) return;
    chain = chain
      .then(async () =>
        appendFile(logPath(mountState(await resolveFolder(folder))), `${line.replaceAll('\n', ' ')}\n`),
      )
      .catch(() => undefined);
  };
}
