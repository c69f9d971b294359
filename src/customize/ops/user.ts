import { createUser } from '../accounts/create-user.js';
import { describeKeys } from '../accounts/key-selector.js';
import { describeSelector } from '../accounts/password-selector.js';
import { textOrObject } from '../text-or-object.js';
import { type UserSpec, parseUserSpec, userObject } from '../accounts/user-spec.js';
import type { FileOperationKind } from '../operation-kind.js';

/** `--user NAME[:OPTION]...`: the options are in {@link parseUserSpec}. */
export const user: FileOperationKind<UserSpec> = {
  name: 'user',
  argument: 'NAME[:OPTION]...',
  summary:
    'Make a user: groups=A,B, sudo, sudo-nopasswd, key=FILE, uid=N, shell=, home=, comment=, password=SELECTOR.',
  runs: 'offline',
  schema: textOrObject(parseUserSpec, userObject),
  parse: parseUserSpec,
  hostFiles: ({ keys, password }) =>
    [...keys, ...(password ? [password] : [])].flatMap((from) =>
      from.from === 'file' ? [{ path: from.file }] : [],
    ),
  describe,
  apply: (guest, spec, context) => createUser(guest, spec, context),
};

function describe(spec: UserSpec): string {
  const facts = [
    spec.uid === undefined ? undefined : `uid ${spec.uid}`,
    spec.groups.length > 0 ? `groups ${spec.groups.join(', ')}` : undefined,
    spec.sudo && (spec.sudo === 'group' ? 'sudo' : 'sudo without a password'),
    ...spec.keys.map((selector) => `key from ${describeKeys(selector)}`),
    spec.password && `password ${describeSelector(spec.password)}`,
  ].filter((fact) => fact !== undefined);
  return `make the user ${spec.name}${facts.length > 0 ? ` (${facts.join('; ')})` : ''}`;
}
