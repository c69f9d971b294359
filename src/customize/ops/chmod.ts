import * as v from 'valibot';
import { fieldsOperation, guestPath } from '../files/argument.js';

const MAX_MODE = 0o7777;

const permissions = v.pipe(
  v.string("must be text: put it into quotes, such as '0644'"),
  v.regex(
    /^(0|[1-9]\d*|0o?[0-7]+|0x[0-9a-f]+|0b[01]+)$/i,
    'is no number; permissions are octal with a 0 in front: 0644',
  ),
  v.check(
    (text) => readPermissions(text) <= MAX_MODE,
    'is more than 07777, the largest permissions there are',
  ),
);

/** Sets permission bits. */
export const chmod = fieldsOperation({
  name: 'chmod',
  argument: 'PERMISSIONS:FILE',
  summary: 'Set the permissions of a file: 0644 is octal, 420 the same in decimal.',
  fields: { permissions, path: guestPath },
  describe: ({ permissions: text, path }) =>
    `set the permissions of ${path} to ${octal(readPermissions(text))}`,
  async apply(guest, { permissions: text, path }, context) {
    if (looksOctal(text)) {
      const mode = octal(readPermissions(text));
      context.warn(`chmod ${text}:${path}: ${text} is decimal, and ${mode} in octal; did you mean 0${text}?`);
    }
    await guest.chmod(path, readPermissions(text));
  },
});

/** Digits that make sense as octal ones: nobody is allowed less than those after. Of 420, which is 0644, they do not. */
function looksOctal(text: string): boolean {
  const [owner = 0, group = 0, others = 0] = Array.from(text.slice(-3), Number);
  return /^[1-7][0-7]{2,3}$/.test(text) && (group & ~owner) === 0 && (others & ~group) === 0;
}

function readPermissions(text: string): number {
  return /^0[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number(text);
}

const octal = (mode: number): string => `0${mode.toString(8)}`;
