import { TsbuilderError } from '../errors.js';

/** A value of LVM's metadata text. */
export type LvmValue = string | number | readonly LvmValue[] | LvmSection;

/** A section `name { key = value ... }`, in the order of the text. */
export type LvmSection = ReadonlyMap<string, LvmValue>;

const TOKEN = /\s*(?:#[^\n]*\n\s*)*("(?:[^"\\]|\\.)*"|[A-Za-z0-9_.+-]+|[{}[\]=,])/y;
const MAX_DEPTH = 16;

interface Cursor {
  readonly tokens: readonly string[];
  at: number;
}

/**
 * Parses the text form of LVM2 metadata (lvm2, libdm/libdm-config.c): sections, numbers, strings and lists.
 *
 * @throws TSB_FILESYSTEM with the position of what does not fit the grammar
 */
export function parseLvmText(text: string): LvmSection {
  const cursor = { tokens: tokenize(text), at: 0 };
  const root = parseSection(cursor, 0);
  if (cursor.at < cursor.tokens.length) throw syntaxError(cursor);
  return root;
}

/** The section under `key`, empty when there is none. */
export function subsection(section: LvmSection, key: string): LvmSection {
  const value = section.get(key);
  return value instanceof Map ? (value as LvmSection) : new Map<string, LvmValue>();
}

function tokenize(text: string): string[] {
  const tokens: string[] = [];
  const end = text.replace(/[\s\0]+$/, '').length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const at = TOKEN.lastIndex;
    const token = TOKEN.exec(text)?.[1];
    if (token === undefined) {
      if (/^\s*(#[^\n]*\s*)*$/.test(text.slice(at, end))) break;
      throw new TsbuilderError('TSB_FILESYSTEM', `LVM metadata: unexpected text at character ${at}`);
    }
    tokens.push(token);
  }
  return tokens;
}

function parseSection(cursor: Cursor, depth: number): LvmSection {
  const entries = new Map<string, LvmValue>();
  if (depth > MAX_DEPTH) throw syntaxError(cursor);
  for (let key = cursor.tokens[cursor.at]; key !== undefined && key !== '}'; key = cursor.tokens[cursor.at]) {
    if (!/^\w/.test(key)) throw syntaxError(cursor);
    const sign = cursor.tokens[cursor.at + 1];
    cursor.at += 2;
    if (sign === '=') entries.set(key, parseValue(cursor, depth));
    else if (sign === '{') {
      entries.set(key, parseSection(cursor, depth + 1));
      expect(cursor, '}');
    } else throw syntaxError(cursor);
  }
  return entries;
}

function parseValue(cursor: Cursor, depth: number): LvmValue {
  const token = cursor.tokens[cursor.at];
  cursor.at += 1;
  if (token === '[') return parseList(cursor, depth + 1);
  if (token === undefined || /^[{}\]=,]$/.test(token)) throw syntaxError(cursor);
  if (token.startsWith('"')) return token.slice(1, -1).replace(/\\(.)/g, '$1');
  return Number.isNaN(Number(token)) ? token : Number(token);
}

function parseList(cursor: Cursor, depth: number): LvmValue[] {
  const values: LvmValue[] = [];
  if (depth > MAX_DEPTH) throw syntaxError(cursor);
  while (cursor.tokens[cursor.at] !== ']') {
    values.push(parseValue(cursor, depth));
    if (cursor.tokens[cursor.at] === ',') cursor.at += 1;
  }
  expect(cursor, ']');
  return values;
}

function expect(cursor: Cursor, token: string): void {
  if (cursor.tokens[cursor.at] !== token) throw syntaxError(cursor);
  cursor.at += 1;
}

function syntaxError(cursor: Cursor): TsbuilderError {
  const token = cursor.tokens[cursor.at - 1] ?? 'the end';
  return new TsbuilderError('TSB_FILESYSTEM', `LVM metadata: syntax error near ${token.slice(0, 40)}`);
}
