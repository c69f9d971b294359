import { TsbuilderError } from '../errors.js';
import type { FileStat, GuestEntry, GuestFiles } from '../guest/guest.js';
import { printable } from '../io/printable.js';

const CHUNK = 1024 * 1024;

/** A file of an image, in a listing. */
export interface ListedFile {
  /** Absolute path, its bytes each as one character of 0..255: names need not be UTF-8. */
  readonly rawPath: string;
  /** The last component of `rawPath`; the path itself when it was asked for by name. */
  readonly rawName: string;
  /** When details were asked for. */
  readonly stat?: FileStat | undefined;
  readonly rawTarget?: string | undefined;
}

/** How files are listed. */
export interface ListOptions {
  /** Tell what each file is, which takes more reads. Implied by `recursive`. */
  readonly details: boolean;
  readonly recursive: boolean;
  /** Called with a sentence for each folder that cannot be entered. */
  readonly onSkip: (message: string) => void;
}

/**
 * The file `path`, or what is in it when it is a folder (links followed), sorted by bytes; with `recursive` also what is in every
 * folder below, right after the folder. A folder that turns up twice is damage, and is not entered again.
 *
 * @throws TSB_GUEST when there is no such path, TSB_FILESYSTEM when the filesystem is damaged
 */
export async function* listFiles(
  files: GuestFiles,
  path: string,
  options: ListOptions,
): AsyncGenerator<ListedFile, void> {
  const from = absolute(path);
  const stat = await files.stat(from);
  if (stat.type === 'directory') yield* walk({ files, options, from, seen: new Set([stat.id]) }, from);
  else yield await listOne(files, from);
}

interface Walk {
  readonly files: GuestFiles;
  readonly options: ListOptions;
  /** Where it began. */
  readonly from: string;
  readonly seen: Set<number | undefined>;
}

async function* walk(state: Walk, folder: string): AsyncGenerator<ListedFile, void> {
  const { options, seen } = state;
  for (const { name, rawName, stat, rawTarget } of await entriesOf(state, folder)) {
    const rawPath = joined(rawBytes(folder), rawName);
    yield { rawPath, rawName, stat, rawTarget };
    if (!options.recursive || stat?.type !== 'directory') continue;
    if (name === undefined)
      options.onSkip(`${printableBytes(rawPath)}: its name is no UTF-8, so it is not entered`);
    else if (seen.has(stat.id))
      options.onSkip(`${printableBytes(rawPath)}: is a folder seen before, so it is not entered`);
    else {
      seen.add(stat.id);
      yield* walk(state, joined(folder, name));
    }
  }
}

/** What is in a folder; nothing where it is one below that is a filesystem of its own which cannot be read. */
async function entriesOf({ files, options, from }: Walk, folder: string): Promise<GuestEntry[]> {
  try {
    return await files.entries(folder, { details: options.details || options.recursive });
  } catch (error) {
    if (folder === from || !isOtherFilesystem(error)) throw error;
    options.onSkip(error.message);
    return [];
  }
}

function isOtherFilesystem(error: unknown): error is TsbuilderError {
  return error instanceof TsbuilderError && error.details['reason'] === 'other-filesystem';
}

async function listOne(files: GuestFiles, path: string): Promise<ListedFile> {
  const stat = await files.lstat(path);
  const rawTarget = stat.type === 'symlink' ? rawBytes(await files.readLink(path)) : undefined;
  return { rawPath: rawBytes(path), rawName: rawBytes(path), stat, rawTarget };
}

/**
 * The content of a regular file in pieces of at most 1 MiB, links followed.
 *
 * @throws TSB_GUEST when there is no such file or it is none that has content
 */
export async function* fileContent(files: GuestFiles, path: string): AsyncGenerator<Buffer, void> {
  const from = absolute(path);
  const { type, size } = await files.stat(from);
  if (type !== 'file') {
    const what = type === 'directory' ? 'a folder' : `a ${type} file`;
    throw new TsbuilderError('TSB_GUEST', `${path} in ${files.name}: is ${what}, not a regular file`, {
      details: { path, reason: 'not-file' },
    });
  }
  for (let at = 0; at < size; at += CHUNK) yield await files.readRange(from, at, Math.min(CHUNK, size - at));
}

/** A path as the user wrote it, from the root of the guest. */
function absolute(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  return `/${parts.join('/')}`;
}

const joined = (folder: string, name: string): string => `${folder === '/' ? '' : folder}/${name}`;

const rawBytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

/** Bytes as text for people: bytes that are no UTF-8, and characters that could harm a terminal, become escapes. */
export function printableBytes(raw: string): string {
  const bytes = Buffer.from(raw, 'latin1');
  const text = bytes.toString('utf8');
  if (Buffer.from(text, 'utf8').equals(bytes)) return printable(text);
  return raw.replace(/[^\x20-\x7e]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
