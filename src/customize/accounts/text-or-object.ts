import * as v from 'valibot';

/**
 * The schema of a value that a YAML list may write as on the command line or as a map. What is wrong with a map is
 * said without showing values, which may be passwords.
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
    if (inner.expected === 'never') return `does not know ${JSON.stringify(key)}`;
    return inner.received === 'undefined' ? `lacks ${JSON.stringify(key)}` : `${key} is not as it must be`;
  });
}

/** Text in one line, without control characters. */
export const oneLine = v.pipe(v.string(), v.regex(/^\P{Cc}+$/u));
