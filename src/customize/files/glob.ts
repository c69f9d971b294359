import { TsbuilderError } from '../../errors.js';
import type { GuestFiles } from '../../guest/guest.js';
import { inside, isFolder, lstatIfThere, unreachableName } from './guest-files.js';
import { parseNamePattern } from './glob-pattern.js';

const MAX_ALTERNATIVES = 10_000;

/**
 * The paths of the guest that a shell pattern (glob(7), and braces) matches, each once. A link in the last component is not
 * followed.
 *
 * @throws TSB_USAGE when its braces stand for more than 10000 patterns, TSB_GUEST when a name matches that no path leads to
 */
export async function expandGlob(guest: GuestFiles, pattern: string): Promise<string[]> {
  const found = new Set<string>();
  for (const alternative of expandBraces(pattern)) {
    for (const path of await matchPath(guest, alternative)) found.add(path);
  }
  return [...found];
}

async function matchPath(guest: GuestFiles, pattern: string): Promise<string[]> {
  const components = pattern.split('/').filter((part) => part !== '');
  let paths = ['/'];
  for (const component of components) {
    const next: string[] = [];
    for (const path of paths) next.push(...(await matchIn(guest, path, component)));
    paths = next;
  }
  const trailingSlash = pattern.endsWith('/') && components.length > 0;
  if (!trailingSlash) return paths;
  const folders: string[] = [];
  for (const path of paths) if (await isFolder(guest, path)) folders.push(path);
  return folders;
}

async function matchIn(guest: GuestFiles, folder: string, component: string): Promise<string[]> {
  const pattern = parseNamePattern(component);
  if (pattern.literal !== undefined) {
    const path = inside(folder, pattern.literal);
    return (await lstatIfThere(guest, path)) ? [path] : [];
  }
  if (!(await isFolder(guest, folder))) return [];
  const paths: string[] = [];
  for (const { name, rawName } of await guest.entries(folder)) {
    if (!pattern.matches(name ?? rawName)) continue;
    if (name === undefined) throw unreachableName(guest, folder, rawName);
    paths.push(inside(folder, name));
  }
  return paths;
}

/** The patterns that a pattern with braces stands for: `a{b,c}` is `ab` and `ac`. Braces without a comma mean themselves. */
function expandBraces(pattern: string): string[] {
  const done: string[] = [];
  const todo = [pattern];
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const braces = findBraces(next);
    if (!braces) done.push(next);
    else todo.push(...braces.reverse());
    if (done.length + todo.length > MAX_ALTERNATIVES) {
      throw new TsbuilderError('TSB_USAGE', `${JSON.stringify(pattern)}: too many alternatives in braces`);
    }
  }
  return done;
}

/** `pattern` with each alternative of its first pair of braces with a comma; undefined when there is none. */
function findBraces(pattern: string): string[] | undefined {
  for (let start = 0; start < pattern.length; start++) {
    if (pattern[start] === '\\') start += 1;
    else if (pattern[start] === '{') {
      const cuts = readBraces(pattern, start);
      if (!cuts) continue;
      const end = cuts.at(-1) ?? start;
      const before = pattern.slice(0, start);
      return cuts.slice(1).map((cut, index) => {
        return `${before}${pattern.slice((cuts[index] ?? 0) + 1, cut)}${pattern.slice(end + 1)}`;
      });
    }
  }
  return undefined;
}

/** Positions of the opening brace, its commas and the closing brace. */
function readBraces(pattern: string, start: number): number[] | undefined {
  const cuts = [start];
  let depth = 0;
  for (let at = start; at < pattern.length; at++) {
    const character = pattern[at];
    if (character === '\\') at += 1;
    else if (character === '{') depth += 1;
    else if (character === ',' && depth === 1) cuts.push(at);
    else if (character === '}') {
      depth -= 1;
      if (depth === 0) return cuts.length > 1 ? [...cuts, at] : undefined;
    }
  }
  return undefined;
}
