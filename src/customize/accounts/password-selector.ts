import * as v from 'valibot';
import { TsbuilderError } from '../../errors.js';
import { oneLine } from '../text-or-object.js';

/** Where a password comes from, and whether the account is locked. Plain data. */
export type PasswordSelector = { readonly locked: boolean } & (
  | { readonly from: 'file'; readonly file: string }
  | { readonly from: 'password'; readonly password: string }
  | { readonly from: 'random' }
  | { readonly from: 'disabled' }
);

/**
 * Reads virt-builder's selectors: `file:FILE`, `password:TEXT`, `random`, `disabled`, each also behind `locked:`, and `locked`
 * alone; `lock` and `disable` mean the same.
 *
 * @throws TSB_USAGE; the text is not repeated, for it may have a password in it
 */
export function parsePasswordSelector(text: string): PasswordSelector {
  const [word = '', ...rest] = text.split(':');
  const argument = rest.length === 0 ? undefined : rest.join(':');
  if (word === 'lock' || word === 'locked') {
    const inner = argument === undefined ? DISABLED : parsePasswordSelector(argument);
    return { ...inner, locked: true };
  }
  if (word === 'file' && argument) return { locked: false, from: 'file', file: argument };
  if (word === 'password' && argument) return { locked: false, from: 'password', password: argument };
  if (word === 'random' && argument === undefined) return { locked: false, from: 'random' };
  if ((word === 'disabled' || word === 'disable') && argument === undefined) return DISABLED;
  throw new TsbuilderError('TSB_USAGE', 'that is no password selector', {
    hint: 'Write file:FILE, password:TEXT, random or disabled, each with or without locked: before it, or locked alone.',
  });
}

const DISABLED: PasswordSelector = { locked: false, from: 'disabled' };

/** What a selector does, without the password or the name of its file. */
export function describeSelector({ from, locked }: PasswordSelector): string {
  const sources = { file: 'from a file', password: 'as given', random: 'random', disabled: 'disabled' };
  return `${sources[from]}${locked ? ', locked' : ''}`;
}

const lockable = { locked: v.optional(v.boolean(), false) };
const yes = v.literal(true);

/**
 * The schema of selectors as maps, with the fields `more` besides: `{file: F}`, `{password: TEXT}`, `{random: true}`,
 * `{disabled: true}`, each with `locked: true` if wanted.
 */
export function selectorObject<E extends v.ObjectEntries>(more: E) {
  const fields = ['user' in more ? 'user' : '', 'one of file, password, random, disabled'].filter(Boolean);
  return v.union(
    [
      v.strictObject({ ...more, ...lockable, file: oneLine }),
      v.strictObject({ ...more, ...lockable, password: v.pipe(v.string(), v.minLength(1)) }),
      v.strictObject({ ...more, ...lockable, random: yes }),
      v.strictObject({ ...more, ...lockable, disabled: yes }),
      v.strictObject({ ...more, locked: yes }),
    ],
    `must have ${fields.join(', ')}, and may have locked: true; random, disabled and locked are true where they are used`,
  );
}

/** The selector in a map that {@link selectorObject} has checked. */
export function selectorOf(map: {
  readonly locked?: boolean | undefined;
  readonly file?: string | undefined;
  readonly password?: string | undefined;
  readonly random?: boolean | undefined;
}): PasswordSelector {
  const locked = map.locked === true;
  if (map.file !== undefined) return { locked, from: 'file', file: map.file };
  if (map.password !== undefined) return { locked, from: 'password', password: map.password };
  return { locked, from: map.random === true ? 'random' : 'disabled' };
}
