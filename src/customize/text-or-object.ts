import * as v from 'valibot';

/** The plain words for what valibot names as in TypeScript. */
const EXPECTED: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  boolean: 'true or false',
  Object: 'a map',
  Array: 'a list',
};

/**
 * The schema of a value that a YAML list may write as on the command line or as a map. What is wrong with a map is
 * said without showing values or keys of the user's, which may be passwords.
 *
 * @param parse reads the text; what it throws comes through
 */
export function textOrObject<V>(
  parse: (text: string) => V,
  object: v.GenericSchema<unknown, V>,
): v.GenericSchema<unknown, V> {
  const text = v.pipe(v.string(), v.transform(parse));
  return v.union([text, object], (issue) => {
    const inner = issue.issues?.at(-1);
    if (inner?.type === 'union') return inner.message;
    const key = inner && v.getDotPath(inner);
    if (!inner || !key) return 'must be text or a map';
    if (inner.expected === 'never') return 'has a key that is not known';
    return inner.received === 'undefined' ? `lacks ${JSON.stringify(key)}` : `${key} ${issueText(inner)}`;
  });
}

/** What an issue says, without the value that was received: valibot's own messages quote it. */
export function issueText(issue: v.BaseIssue<unknown>): string {
  if (!issue.message.startsWith('Invalid ')) return issue.message;
  const expected = issue.kind === 'schema' ? EXPECTED[issue.expected ?? ''] : undefined;
  return expected === undefined ? 'is not as it must be' : `must be ${expected}`;
}

/** Text in one line, without control characters. */
export const oneLine = v.pipe(v.string(), v.regex(/^\P{Cc}+$/u));
