import { TsbuilderError } from '../../errors.js';

/** A file of a tree, as `FIND_FORMAT` makes find(1) print it. */
export interface TreeEntry {
  /** Relative to the root, which is the empty text. */
  readonly path: string;
  /** find's letter: `f`, `d`, `l`, `p` ... */
  readonly type: string;
  /** Permission bits, 0-0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** When it was last changed, in seconds since 1970. */
  readonly mtime: number;
  /** Of a symbolic link. */
  readonly target: string;
}

export const FIND_FORMAT = String.raw`%y %m %U %G %T@ %P\0%l\0`;

/** Reads what find prints, given `-printf` and `FIND_FORMAT`. */
export function parseTree(text: string): TreeEntry[] {
  const parts = text.split('\0');
  const entries: TreeEntry[] = [];
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const [, type = '', mode = '', uid, gid, time, path = ''] =
      /^(\S+) (\S+) (\S+) (\S+) (\S+) (.*)$/s.exec(parts[at] ?? '') ?? [];
    entries.push({
      ...{ path, type, mode: Number.parseInt(mode, 8), uid: Number(uid), gid: Number(gid) },
      ...{ mtime: Math.floor(Number(time)), target: parts[at + 1] ?? '' },
    });
  }
  return entries;
}

const KINDS: Readonly<Record<string, string>> = { f: '-', d: 'd', l: 'l', p: 'p' };

/**
 * A prototype file for mkfs.xfs(8) that makes this tree out of the files in the working directory; in the order of names, whatever
 * the order of the entries. It cannot say that folders are sticky.
 *
 * @throws TSB_FILESYSTEM for a name with blanks, which such a file cannot have, and for a device or socket
 */
export function formatPrototype(entries: readonly TreeEntry[]): string {
  const children = new Map<string, TreeEntry[]>();
  for (const entry of entries.filter(({ path }) => path !== '')) {
    const parent = entry.path.split('/').slice(0, -1).join('/');
    children.set(parent, [...(children.get(parent) ?? []), entry]);
  }
  const folder = (path: string): string[] => {
    const inside = (children.get(path) ?? []).sort((a, b) => (a.path < b.path ? -1 : 1));
    return [
      ...inside.flatMap((entry) => [line(entry), ...(entry.type === 'd' ? folder(entry.path) : [])]),
      '$',
    ];
  };
  const root = entries.find(({ path }) => path === '');
  const { mode, uid, gid } = root ?? { mode: 0o755, uid: 0, gid: 0 };
  return ['-', '0 0', `${formatMode('d', mode)} ${uid} ${gid}`, ...folder(''), ''].join('\n');
}

function line(entry: TreeEntry): string {
  const { path, type, mode, uid, gid, target } = entry;
  const name = path.split('/').at(-1) ?? '';
  const kind = KINDS[type];
  if (kind === undefined) throw impossible(path, `files of kind ${type}`);
  // At the start of a word a colon begins a comment, and a lone dollar ends a folder.
  if ([name, path, target].some((text) => /\s/.test(text)) || /^[:$]/.test(name))
    throw impossible(path, 'names with blanks, or with : or $ in front');
  const source = type === 'f' ? ` ${path}` : type === 'l' ? ` ${target}` : '';
  return `${name} ${formatMode(kind, mode)} ${uid} ${gid}${source}`;
}

function formatMode(kind: string, mode: number): string {
  const bits = (mode & 0o777).toString(8).padStart(3, '0');
  return `${kind}${mode & 0o4000 ? 'u' : '-'}${mode & 0o2000 ? 'g' : '-'}${bits}`;
}

function impossible(path: string, what: string): TsbuilderError {
  return new TsbuilderError('TSB_FILESYSTEM', `/${path}: layout xfs cannot hold ${what}`, {
    hint: 'Leave out the package that has it, or choose another layout.',
  });
}
