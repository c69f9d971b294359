import * as v from 'valibot';
import { TsbuilderError } from '../../errors.js';
import { issueText, textOrObject } from '../text-or-object.js';
import type { FileOperationKind } from '../operation-kind.js';

/** A path in the guest. Whether it leads somewhere is seen when the operation is done. */
export const guestPath = v.pipe(
  v.string(),
  v.startsWith('/', 'a path in the guest must begin with /'),
  v.check((path) => !path.includes('\0'), 'a path cannot have a NUL character'),
);

/** The path of something in the guest that is no folder. */
export const guestFile = v.pipe(
  guestPath,
  v.check((path) => !path.endsWith('/'), 'a path that ends in / is that of a folder, not of a file'),
);

/** A path on this machine. */
export const hostPath = v.pipe(v.string(), v.minLength(1, 'the name of a file on this machine is missing'));

/** The keys of a map in YAML in the order in which their values stand on the command line, and what they take. */
export type Fields = Readonly<Record<string, v.GenericSchema>>;

/** The value of an operation with such fields. */
export type FieldValues<F extends Fields> = { readonly [K in keyof F]: v.InferOutput<F[K]> };

type Texts<V> = Pick<FileOperationKind<V>, 'name' | 'summary' | 'describe' | 'hostFiles' | 'apply'> & {
  readonly argument: string;
};

/** An operation on one path of the guest, whose value is that path. With `of` a file, it cannot be written as that of a folder. */
export function pathOperation(kind: Texts<string> & { readonly of?: 'file' }): FileOperationKind<string> {
  const { of, ...texts } = kind;
  const schema = of === 'file' ? guestFile : guestPath;
  return { ...texts, runs: 'offline', schema, parse: (text) => checked(kind.name, schema, text) };
}

/**
 * An operation whose argument has several parts with colons between them: each part ends at the first colon, and the last one
 * has all the rest, colons and all.
 */
export function fieldsOperation<const F extends Fields>(
  kind: Texts<FieldValues<F>> & { readonly fields: F },
): FileOperationKind<FieldValues<F>> {
  const { fields, ...texts } = kind;
  const keys = Object.keys(fields);
  const object = v.strictObject(fields) as unknown as v.GenericSchema<unknown, FieldValues<F>>;
  const parse = (text: string): FieldValues<F> => {
    const parts = splitArgument(kind, text, keys.length);
    return checked(kind.name, object, Object.fromEntries(keys.map((key, index) => [key, parts[index]])));
  };
  return { ...texts, runs: 'offline', schema: textOrObject(parse, object), parse };
}

/**
 * `text` split at its first `count - 1` colons.
 *
 * @throws TSB_USAGE when there are fewer
 */
function splitArgument(
  kind: { readonly name: string; readonly argument?: string | undefined },
  text: string,
  count: number,
): string[] {
  const parts = text.split(':');
  if (parts.length < count) {
    throw new TsbuilderError('TSB_USAGE', `--${kind.name}: a colon is missing`, {
      hint: `The form is ${kind.argument ?? ''}.`,
    });
  }
  return [...parts.slice(0, count - 1), parts.slice(count - 1).join(':')];
}

/** What may be repeated in a message: a path or a word, no text of several lines. */
const SHOWABLE = /^\P{Cc}{0,200}$/u;

/**
 * What `schema` makes of a value from the command line. The message repeats the field that is wrong, which is a path or a number: of commands,
 * expressions and contents only control characters can be wrong, and what has some is not repeated.
 *
 * @throws TSB_USAGE when it does not fit
 */
export function checked<V>(name: string, schema: v.GenericSchema<unknown, V>, value: unknown): V {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const shown =
    typeof issue.input === 'string' && SHOWABLE.test(issue.input) ? `${JSON.stringify(issue.input)}: ` : '';
  throw new TsbuilderError('TSB_USAGE', `--${name}: ${shown}${issueText(issue)}`);
}
