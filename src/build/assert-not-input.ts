import { stat } from 'node:fs/promises';
import { TsbuilderError } from '../errors.js';
import { parseLocation } from '../io/source-location.js';

/**
 * Passes unless the output is the very file (or device) that is read, under whatever name.
 *
 * @throws TSB_USAGE with `hint`
 */
export async function assertNotInput(input: string, output: string, hint: string): Promise<void> {
  const location = parseLocation(input);
  if (location.kind !== 'file') return;
  const [from, to] = await Promise.all([identify(location.path), identify(output)]);
  if (from === undefined || from !== to) return;
  throw new TsbuilderError('TSB_USAGE', `${output}: is the input, and cannot be the output too`, { hint });
}

/** What tells one file from another, also under other names; undefined when there is none. */
async function identify(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  if (!found) return undefined;
  return found.isBlockDevice() ? `device ${found.rdev}` : `${found.dev}:${found.ino}`;
}
