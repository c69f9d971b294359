/** A regular expression taken apart. */
export type Pattern =
  | { readonly kind: 'test'; readonly test: (code: number) => boolean }
  | { readonly kind: 'sequence'; readonly parts: readonly Pattern[] }
  | { readonly kind: 'choice'; readonly options: readonly Pattern[] }
  | { readonly kind: 'repeat'; readonly part: Pattern; readonly min: number; readonly max: number };

const MAX_SOURCE = 1024;
const MAX_DEPTH = 32;
const MAX_COUNT = 64;

type Test = (code: number) => boolean;

const DIGIT: Test = (code) => code >= 48 && code <= 57;
const LETTER: Test = (code) => (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
const SPACE: Test = (code) => code === 32 || (code >= 9 && code <= 13);

const CLASSES: Readonly<Record<string, Test>> = {
  d: DIGIT,
  w: (code) => DIGIT(code) || LETTER(code) || code === 95,
  s: SPACE,
  digit: DIGIT,
  alpha: LETTER,
  alnum: (code) => DIGIT(code) || LETTER(code),
  space: SPACE,
  lower: (code) => code >= 97 && code <= 122,
  upper: (code) => code >= 65 && code <= 90,
  xdigit: (code) => /[0-9a-fA-F]/.test(String.fromCharCode(code)),
};

interface Cursor {
  readonly text: string;
  at: number;
  depth: number;
}

/** What this parser cannot understand. */
class UnknownSyntax extends Error {}

/** Parses literals, `.`, classes, groups, `|`, `* + ? {m,n}` and escapes; undefined when there is anything else in it. */
export function parsePattern(source: string): Pattern | undefined {
  if (source.length > MAX_SOURCE) return undefined;
  const cursor: Cursor = { text: source, at: 0, depth: 0 };
  try {
    const pattern = parseChoice(cursor);
    return cursor.at === source.length ? pattern : undefined;
  } catch (error) {
    if (error instanceof UnknownSyntax) return undefined;
    throw error;
  }
}

function parseChoice(cursor: Cursor): Pattern {
  const options = [parseSequence(cursor)];
  while (take(cursor, '|')) options.push(parseSequence(cursor));
  return { kind: 'choice', options };
}

function parseSequence(cursor: Cursor): Pattern {
  const parts: Pattern[] = [];
  while (cursor.at < cursor.text.length && !'|)'.includes(peek(cursor))) parts.push(parseRepeat(cursor));
  return { kind: 'sequence', parts };
}

function parseRepeat(cursor: Cursor): Pattern {
  const part = parseAtom(cursor);
  const counts = parseCounts(cursor);
  if (!counts) return part;
  // A second sign would make it lazy or possessive.
  if ('*+?{'.includes(peek(cursor) || ' ')) throw new UnknownSyntax();
  return { kind: 'repeat', part, ...counts };
}

function parseCounts(cursor: Cursor): { min: number; max: number } | undefined {
  if (take(cursor, '*')) return { min: 0, max: Infinity };
  if (take(cursor, '+')) return { min: 1, max: Infinity };
  if (take(cursor, '?')) return { min: 0, max: 1 };
  if (peek(cursor) !== '{') return undefined;
  const match = /^\{(\d{1,3})(,(\d{0,3}))?\}/.exec(cursor.text.slice(cursor.at));
  if (!match) throw new UnknownSyntax();
  cursor.at += match[0].length;
  const min = Number(match[1]);
  const max = match[2] === undefined ? min : match[3] === '' ? Infinity : Number(match[3]);
  if (min > MAX_COUNT || (max > MAX_COUNT && max !== Infinity) || max < min) throw new UnknownSyntax();
  return { min, max };
}

function parseAtom(cursor: Cursor): Pattern {
  const sign = next(cursor);
  if (sign === '(') return parseGroup(cursor);
  if (sign === '[') return { kind: 'test', test: parseClass(cursor) };
  if (sign === '.') return { kind: 'test', test: (code) => code !== 10 };
  if (sign === '\\') return { kind: 'test', test: parseEscape(cursor) };
  if ('*+?{^$'.includes(sign)) throw new UnknownSyntax();
  return { kind: 'test', test: only(sign) };
}

function parseGroup(cursor: Cursor): Pattern {
  if (take(cursor, '?') && !take(cursor, ':')) throw new UnknownSyntax();
  cursor.depth += 1;
  if (cursor.depth > MAX_DEPTH) throw new UnknownSyntax();
  const inside = parseChoice(cursor);
  if (!take(cursor, ')')) throw new UnknownSyntax();
  cursor.depth -= 1;
  return inside;
}

function parseEscape(cursor: Cursor): Test {
  const sign = next(cursor);
  const known = CLASSES[sign];
  if (known) return known;
  if (/[A-Za-z0-9]/.test(sign)) throw new UnknownSyntax();
  return only(sign);
}

function parseClass(cursor: Cursor): Test {
  const negated = take(cursor, '^');
  const tests: Test[] = [];
  for (let first = true; first || peek(cursor) !== ']'; first = false) tests.push(parseClassItem(cursor));
  next(cursor);
  return (code) => tests.some((test) => test(code)) !== negated;
}

function parseClassItem(cursor: Cursor): Test {
  const named = /^\[:([a-z]+):\]/.exec(cursor.text.slice(cursor.at, cursor.at + 16));
  if (named) {
    cursor.at += named[0].length;
    const test = CLASSES[named[1] ?? ''];
    if (!test) throw new UnknownSyntax();
    return test;
  }
  const sign = next(cursor);
  if (sign === '\\') return parseEscape(cursor);
  const isRange = peek(cursor) === '-' && !['', ']'].includes(cursor.text.charAt(cursor.at + 1));
  if (!isRange) return only(sign);
  next(cursor);
  const from = sign.charCodeAt(0);
  const to = next(cursor).charCodeAt(0);
  return (code) => code >= from && code <= to;
}

const only = (sign: string): Test => {
  const wanted = sign.charCodeAt(0);
  return (code) => code === wanted;
};

const peek = (cursor: Cursor): string => cursor.text.charAt(cursor.at);

function next(cursor: Cursor): string {
  if (cursor.at >= cursor.text.length) throw new UnknownSyntax();
  return cursor.text.charAt(cursor.at++);
}

function take(cursor: Cursor, sign: string): boolean {
  if (peek(cursor) !== sign) return false;
  cursor.at += 1;
  return true;
}
