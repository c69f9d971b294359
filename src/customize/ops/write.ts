import * as v from 'valibot';
import { fieldsOperation, guestFile } from '../files/argument.js';

/** Gives a file a content. */
export const write = fieldsOperation({
  name: 'write',
  argument: 'FILE:CONTENT',
  summary: 'Make a file with this content, or replace the content of one that is there.',
  fields: { path: guestFile, content: v.string() },
  describe: ({ path, content }) => `write ${Buffer.byteLength(content)} bytes to ${path}`,
  apply: (guest, { path, content }) => guest.writeFile(path, content),
});
