import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { TsbuilderError } from '../errors.js';
import { printableBytes } from '../io/printable.js';

/** What Node.js makes of bytes that are no UTF-8. */
const REPLACEMENT = '\ufffd';

/**
 * Checks that `words` of the command line are what was written there: an argument that is no UTF-8 has become another one, which may
 * well be the name of another file.
 *
 * @throws TSB_USAGE with the bytes of the argument
 */
export async function assertArguments(words: readonly string[]): Promise<void> {
  const doubtful = words.find((word) => word.includes(REPLACEMENT));
  if (doubtful === undefined) return;
  const written = await writtenArguments().catch(() => undefined);
  const bad = written ? written.find((argument) => !isUtf8(argument)) : Buffer.from(doubtful);
  if (!bad) return;
  throw new TsbuilderError('TSB_USAGE', `an argument is no UTF-8 text: ${printableBytes(bad)}`, {
    hint: 'A file with such a name can be used by way of a symbolic link with another one.',
  });
}

/** The bytes of all arguments, as the kernel has them. */
async function writtenArguments(): Promise<Buffer[]> {
  const all = await readFile('/proc/self/cmdline');
  const written: Buffer[] = [];
  for (let at = 0; at < all.length;) {
    const end = all.indexOf(0, at);
    written.push(all.subarray(at, end < 0 ? all.length : end));
    at = end < 0 ? all.length : end + 1;
  }
  return written;
}
