import * as v from 'valibot';
import { TsbuilderError } from '../../errors.js';
import { isAccountName } from '../accounts/account-file.js';
import {
  type PasswordSelector,
  describeSelector,
  parsePasswordSelector,
  selectorObject,
  selectorOf,
} from '../accounts/password-selector.js';
import { setPassword } from '../accounts/set-password.js';
import { textOrObject } from '../text-or-object.js';
import type { FileOperationKind } from '../operation-kind.js';

/** Whose password, and which. */
export interface PasswordValue {
  readonly user: string;
  readonly selector: PasswordSelector;
}

const userName = v.pipe(v.string(), v.check(isAccountName));

const object = v.pipe(
  selectorObject({ user: userName }),
  v.transform((map): PasswordValue => ({ user: map.user, selector: selectorOf(map) })),
);

/** `--password USER:SELECTOR`: the user must exist. */
export const password: FileOperationKind<PasswordValue> = {
  name: 'password',
  argument: 'USER:SELECTOR',
  summary: 'Set the password of a user.',
  runs: 'offline',
  last: true,
  schema: textOrObject(parse, object),
  parse,
  hostFiles: ({ selector }) => (selector.from === 'file' ? [{ path: selector.file }] : []),
  describe: ({ user, selector }) => `set the password of ${user} (${describeSelector(selector)})`,
  apply: (guest, value, context) => setPassword(guest, value, context),
};

function parse(text: string): PasswordValue {
  const colon = text.indexOf(':');
  const user = colon < 0 ? text : text.slice(0, colon);
  if (colon < 0 || !isAccountName(user)) {
    throw new TsbuilderError('TSB_USAGE', 'must be USER:SELECTOR', {
      hint: 'For example root:random or debian:file:secret.txt.',
    });
  }
  return { user, selector: parsePasswordSelector(text.slice(colon + 1)) };
}
