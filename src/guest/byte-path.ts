import { TsbuilderError } from '../errors.js';

/**
 * Names inside a guest are bytes. Within this folder they are strings in which each character is one byte (latin1);
 * these functions are the border to ordinary strings, whose bytes are UTF-8.
 */

const MAX_NAME = 255;
/** PATH_MAX of Linux, without the NUL at the end. */
const MAX_PATH = 4095;

/** The bytes of `text` as a byte string. */
export function toByteString(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** The text that a byte string means, or undefined when it is no UTF-8. */
export function fromByteString(bytes: string): string | undefined {
  if (/^[\0-\x7f]*$/.test(bytes)) return bytes;
  const raw = Buffer.from(bytes, 'latin1');
  const text = raw.toString('utf8');
  return Buffer.from(text, 'utf8').equals(raw) ? text : undefined;
}

/**
 * The components of an absolute guest path as byte strings, without empty ones and `.`; `..` is kept, because what it
 * means depends on links.
 *
 * @throws TSB_GUEST when the path is not absolute, has a NUL byte or is too long
 */
export function splitPath(path: string): string[] {
  const problem = pathProblem(path);
  if (problem !== undefined) {
    throw new TsbuilderError('TSB_GUEST', `${JSON.stringify(shortened(path))}: ${problem}`, {
      details: { path },
    });
  }
  return byteComponents(toByteString(path));
}

/** The components of a path that is a byte string already: a link's target. */
export function byteComponents(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function pathProblem(path: string): string | undefined {
  if (!path.startsWith('/')) return 'a path in the guest must begin with /';
  if (path.includes('\0')) return 'a path cannot have a NUL character';
  const bytes = toByteString(path);
  if (bytes.length > MAX_PATH) return `${bytes.length} bytes, the limit is ${MAX_PATH}`;
  const long = bytes.split('/').find((part) => part.length > MAX_NAME);
  return long === undefined ? undefined : `a name of ${long.length} bytes, the limit is ${MAX_NAME}`;
}

/** A path that is too long tells nothing more by its end. */
const shortened = (path: string): string => (path.length > 200 ? `${path.slice(0, 200)}...` : path);
