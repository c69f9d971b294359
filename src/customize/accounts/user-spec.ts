import * as v from 'valibot';
import { TsbuilderError } from '../../errors.js';
import { type KeySelector, parseKeySelector } from './key-selector.js';
import { MAX_ID, parseId } from './passwd.js';
import { type PasswordSelector, parsePasswordSelector } from './password-selector.js';
import { oneLine } from '../text-or-object.js';

/** A user to make. Plain data. */
export interface UserSpec {
  readonly name: string;
  /** Supplementary groups, which must exist. */
  readonly groups: readonly string[];
  /** `group`: as a member of the group that may use sudo; `nopasswd`: by a rule of its own, without a password. */
  readonly sudo?: 'group' | 'nopasswd' | undefined;
  readonly keys: readonly KeySelector[];
  readonly password?: PasswordSelector | undefined;
  readonly uid?: number | undefined;
  readonly shell?: string | undefined;
  readonly home?: string | undefined;
  readonly comment?: string | undefined;
}

/** Names that useradd of every distribution takes, and that are one word in sudoers, in paths and in shells. */
const NAME = /^[a-z_][a-z0-9_.-]{0,31}$/;
const PATH = /^\/[^:\p{Cc}]*$/u;
const COMMENT = /^[^:\p{Cc}]*$/u;

/** What options of the command line do; those in TAKES_REST take all that follows, colons too. */
const OPTIONS: Readonly<Record<string, (spec: UserSpec, value: string) => UserSpec>> = {
  groups: (spec, value) => ({ ...spec, groups: [...spec.groups, ...value.split(',').map(groupName)] }),
  key: (spec, value) => ({ ...spec, keys: [...spec.keys, { from: 'file', file: value }] }),
  uid: (spec, value) => ({ ...spec, uid: uidOf(value) }),
  shell: (spec, value) => ({ ...spec, shell: pathOf('shell', value) }),
  home: (spec, value) => ({ ...spec, home: pathOf('home', value) }),
  comment: (spec, value) => ({ ...spec, comment: commentOf(value) }),
  password: (spec, value) => ({ ...spec, password: parsePasswordSelector(value) }),
};
const TAKES_REST = ['password'];
const SWITCHES: Readonly<Record<string, Partial<UserSpec>>> = {
  sudo: { sudo: 'group' },
  'sudo-nopasswd': { sudo: 'nopasswd' },
};

/**
 * Reads `NAME[:OPTION]...`: `groups=A,B`, `sudo`, `sudo-nopasswd`, `key=FILE` (as often as wanted), `uid=N`, `shell=PATH`,
 * `home=PATH`, `comment=TEXT`, and at the end `password=SELECTOR`, which may have colons in it.
 *
 * @throws TSB_USAGE; values are not repeated
 */
export function parseUserSpec(text: string): UserSpec {
  const [name = '', ...parts] = text.split(':');
  if (!NAME.test(name)) {
    throw usage(
      'user: a name has up to 32 lower-case letters, digits, dots, dashes and underscores, and begins with a letter',
    );
  }
  let spec: UserSpec = { name, groups: [], keys: [] };
  for (const [index, part] of parts.entries()) {
    const equals = part.indexOf('=');
    const option = equals < 0 ? part : part.slice(0, equals);
    if (TAKES_REST.includes(option))
      return applyOption(
        spec,
        option,
        parts
          .slice(index)
          .join(':')
          .slice(equals + 1),
      );
    spec = equals < 0 ? applySwitch(spec, option) : applyOption(spec, option, part.slice(equals + 1));
  }
  return spec;
}

function applyOption(spec: UserSpec, option: string, value: string): UserSpec {
  const apply = Object.hasOwn(OPTIONS, option) ? OPTIONS[option] : undefined;
  if (!apply) throw unknownOption();
  if (value === '') throw usage(`${option} needs a value`);
  return apply(spec, value);
}

function applySwitch(spec: UserSpec, option: string): UserSpec {
  const change = Object.hasOwn(SWITCHES, option) ? SWITCHES[option] : undefined;
  if (change) return { ...spec, ...change };
  throw Object.hasOwn(OPTIONS, option) ? usage(`${option} needs a value`) : unknownOption();
}

function groupName(name: string): string {
  if (NAME.test(name)) return name;
  throw usage('groups needs names of groups with commas between them');
}

function uidOf(text: string): number {
  const uid = parseId(text);
  if (uid !== undefined && uid > 0) return uid;
  throw usage(`uid needs a number from 1 to ${MAX_ID}`);
}

function pathOf(option: string, text: string): string {
  if (PATH.test(text)) return text;
  throw usage(`${option} needs an absolute path`);
}

function commentOf(text: string): string {
  if (COMMENT.test(text)) return text;
  throw usage('comment must be one line without colons');
}

function unknownOption(): TsbuilderError {
  return usage('there is an option that is not known');
}

function usage(message: string): TsbuilderError {
  return new TsbuilderError('TSB_USAGE', message, {
    hint: `Write NAME, then with colons between them ${[...Object.keys(SWITCHES), ...Object.keys(OPTIONS).map((name) => `${name}=...`)].join(', ')}.`,
  });
}

const path = v.pipe(v.string(), v.regex(PATH));
const name = v.pipe(v.string(), v.regex(NAME));

/** A user as a map; passwords and keys are selectors as on the command line. */
export const userObject = v.pipe(
  v.strictObject({
    name,
    groups: v.optional(v.array(name), []),
    sudo: v.optional(v.union([v.boolean(), v.literal('nopasswd')])),
    keys: v.optional(v.array(v.pipe(oneLine, v.transform(parseKeySelector))), []),
    password: v.optional(v.pipe(v.string(), v.transform(parsePasswordSelector))),
    uid: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_ID))),
    shell: v.optional(path),
    home: v.optional(path),
    comment: v.optional(v.pipe(v.string(), v.regex(COMMENT))),
  }),
  v.transform(({ sudo, ...rest }): UserSpec => {
    const how = sudo === 'nopasswd' ? sudo : ('group' as const);
    return sudo === undefined || sudo === false ? rest : { ...rest, sudo: how };
  }),
);
