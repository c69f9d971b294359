import * as v from 'valibot';
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

const ROOT = 'root';

/** `--root-password SELECTOR`. */
export const rootPassword: FileOperationKind<PasswordSelector> = {
  name: 'root-password',
  argument: 'SELECTOR',
  summary: "Set root's password.",
  runs: 'offline',
  last: true,
  schema: textOrObject(
    parsePasswordSelector,
    v.pipe(
      selectorObject({}),
      v.transform((map) => selectorOf(map)),
    ),
  ),
  parse: parsePasswordSelector,
  hostFiles: (selector) => (selector.from === 'file' ? [{ path: selector.file }] : []),
  describe: (selector) => `set the password of root (${describeSelector(selector)})`,
  apply: (guest, selector, context) => setPassword(guest, { user: ROOT, selector }, context),
};
