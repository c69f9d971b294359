/** One step of a pattern: any characters, any one, one of a set, or just this one. */
type Token =
  | { readonly kind: 'any' }
  | { readonly kind: 'one' }
  | { readonly kind: 'set'; readonly test: (character: string) => boolean }
  | { readonly kind: 'character'; readonly character: string };

/** A pattern for one component of a path (glob(7)). */
export interface NamePattern {
  /** The name that it stands for when nothing in it is special. */
  readonly literal: string | undefined;
  matches(name: string): boolean;
}

/** Reads `text`, in which `*`, `?` and `[...]` are special unless a backslash stands before them. */
export function parseNamePattern(text: string): NamePattern {
  const tokens = tokensOf(Array.from(text));
  const characters = tokens.map((token) => (token.kind === 'character' ? token.character : undefined));
  const literal = characters.includes(undefined) ? undefined : characters.join('');
  const first = tokens[0];
  const hidden = first?.kind === 'character' && first.character === '.';
  return {
    literal,
    // A dot at the beginning is matched by a dot only.
    matches: (name) => (hidden || !name.startsWith('.')) && matchTokens(tokens, Array.from(name)),
  };
}

function tokensOf(text: readonly string[]): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? '';
    const set = character === '[' ? readSet(text, at) : undefined;
    if (character === '*') tokens.push({ kind: 'any' });
    else if (character === '?') tokens.push({ kind: 'one' });
    else if (set) {
      tokens.push({ kind: 'set', test: set.test });
      at = set.end;
    } else if (character === '\\' && at + 1 < text.length) {
      at += 1;
      tokens.push({ kind: 'character', character: text[at] ?? '' });
    } else tokens.push({ kind: 'character', character });
  }
  return tokens;
}

const CLASSES: Readonly<Record<string, RegExp>> = {
  alnum: /[A-Za-z0-9]/,
  alpha: /[A-Za-z]/,
  blank: /[ \t]/,
  cntrl: /[^\P{Cc}]/u,
  digit: /[0-9]/,
  graph: /[!-~]/,
  lower: /[a-z]/,
  print: /[ -~]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /\s/,
  upper: /[A-Z]/,
  xdigit: /[0-9A-Fa-f]/,
};

interface CharacterSet {
  readonly test: (character: string) => boolean;
  /** Where its closing bracket is. */
  readonly end: number;
}

/** The set that begins at the bracket at `start`; undefined when it is never closed, and the bracket stands for itself. */
function readSet(text: readonly string[], start: number): CharacterSet | undefined {
  let at = start + 1;
  const negated = text[at] === '!' || text[at] === '^';
  if (negated) at += 1;
  const tests: ((character: string) => boolean)[] = [];
  for (let first = true; at < text.length; first = false) {
    if (text[at] === ']' && !first) {
      return { end: at, test: (character) => tests.some((test) => test(character)) !== negated };
    }
    const named = /^\[:([a-z]+):\]/.exec(text.slice(at, at + 12).join(''));
    const pattern = CLASSES[named?.[1] ?? ''];
    if (named && pattern) {
      tests.push((character) => pattern.test(character));
      at += named[0].length;
      continue;
    }
    if (text[at] === '\\') at += 1;
    const low = text[at] ?? '';
    const isRange = text[at + 1] === '-' && text[at + 2] !== ']' && at + 2 < text.length;
    const high = isRange ? (text[at + 2] ?? '') : low;
    tests.push((character) => codeOf(character) >= codeOf(low) && codeOf(character) <= codeOf(high));
    at += isRange ? 3 : 1;
  }
  return undefined;
}

const codeOf = (character: string): number => character.codePointAt(0) ?? 0;

/** Goes back to the last `any` only, so the time is at most the product of both lengths. */
function matchTokens(tokens: readonly Token[], name: readonly string[]): boolean {
  let token = 0;
  let at = 0;
  let retry: { token: number; at: number } | undefined;
  while (at < name.length) {
    const here = tokens[token];
    if (here?.kind === 'any') {
      retry = { token, at };
      token += 1;
    } else if (here && matchesOne(here, name[at] ?? '')) {
      token += 1;
      at += 1;
    } else if (retry) {
      retry = { token: retry.token, at: retry.at + 1 };
      ({ at } = retry);
      token = retry.token + 1;
    } else return false;
  }
  return tokens.slice(token).every(({ kind }) => kind === 'any');
}

function matchesOne(token: Token, character: string): boolean {
  if (token.kind === 'character') return token.character === character;
  return token.kind === 'set' ? token.test(character) : true;
}
