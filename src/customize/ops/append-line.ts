import * as v from 'valibot';
import type { Guest } from '../../guest/guest.js';
import { fieldsOperation, guestFile } from '../files/argument.js';
import { guestContent } from '../files/guest-files.js';

/** How much of a file is looked at to learn how its lines end. */
const HEAD = 8192;

/** Adds a line to a file. */
export const appendLine = fieldsOperation({
  name: 'append-line',
  argument: 'FILE:LINE',
  summary: 'Add a line to the end of a file, which is made if it is missing.',
  fields: { path: guestFile, line: v.string() },
  describe: ({ path }) => `append a line to ${path}`,
  apply: append,
});

async function append(guest: Guest, { path, line }: { path: string; line: string }): Promise<void> {
  if (!(await guest.exists(path))) return guest.writeFile(path, `${line}\n`);
  const newline = lineEnd((await guest.readHead(path, HEAD)).toString('latin1'));
  const { size } = await guest.stat(path);
  const from = Math.max(0, size - newline.length);
  const end = (await guest.readRange(path, from, newline.length)).toString('latin1');
  const added = `${size === 0 || end === newline ? '' : newline}${line}${newline}`;
  return guest.writeFile(path, withMore(guestContent(guest, path), Buffer.from(added)));
}

/** What ends the lines of a text that begins like this. */
function lineEnd(head: string): string {
  return ['\r\n', '\n', '\r'].find((end) => head.includes(end)) ?? '\n';
}

async function* withMore(content: AsyncIterable<Uint8Array>, more: Uint8Array): AsyncGenerator<Uint8Array> {
  yield* content;
  yield more;
}
