import * as v from 'valibot';
import { TsbuilderError } from '../../errors.js';
import { isAccountName } from '../accounts/account-file.js';
import { requireUser } from '../accounts/guest-accounts.js';
import { warnOfOtherKeysFile } from '../accounts/authorized-keys-file.js';
import { installKeys } from '../accounts/install-keys.js';
import { type KeySelector, describeKeys, parseKeySelector, readKeys } from '../accounts/key-selector.js';
import { oneLine, textOrObject } from '../text-or-object.js';
import type { FileOperationKind } from '../operation-kind.js';

/** Who gets which keys. */
export interface SshInjectValue {
  readonly user: string;
  readonly keys: KeySelector;
}

const user = v.pipe(v.string(), v.check(isAccountName));

const object = v.pipe(
  v.strictObject({ user, file: v.optional(oneLine), string: v.optional(v.string()) }),
  v.check(
    ({ file, string }) => file === undefined || string === undefined,
    'must have either file or string',
  ),
  v.transform(({ user, file, string }): SshInjectValue => {
    if (file !== undefined) return { user, keys: { from: 'file', file } };
    return { user, keys: string === undefined ? { from: 'newest' } : { from: 'string', string } };
  }),
);

/** `--ssh-inject USER[:SELECTOR]`. */
export const sshInject: FileOperationKind<SshInjectValue> = {
  name: 'ssh-inject',
  argument: 'USER[:SELECTOR]',
  summary: 'Let a public key log in as a user over SSH.',
  runs: 'offline',
  schema: textOrObject(parse, object),
  parse,
  hostFiles: ({ keys }) => (keys.from === 'file' ? [{ path: keys.file }] : []),
  describe: ({ user, keys }) => `let ${describeKeys(keys)} log in as ${user} over SSH`,
  async apply(guest, { user, keys }, context) {
    const entry = await requireUser(guest, user);
    await installKeys(guest, entry, await readKeys(keys, context));
    await warnOfOtherKeysFile(guest, entry, (message) => context.warn(message));
  },
};

function parse(text: string): SshInjectValue {
  const colon = text.indexOf(':');
  const user = colon < 0 ? text : text.slice(0, colon);
  if (!isAccountName(user)) {
    throw new TsbuilderError('TSB_USAGE', 'must be USER, USER:file:FILE or USER:string:KEY');
  }
  return { user, keys: parseKeySelector(colon < 0 ? '' : text.slice(colon + 1)) };
}
