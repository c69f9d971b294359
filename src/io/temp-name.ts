import { createHash } from 'node:crypto';
import { link, readdir, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { formatIdentity, ownIdentity, parseIdentity, processState } from './process-identity.js';

const MAX_LABEL_BYTES = 80;

let counter = 0;

/**
 * A new temporary name for the output called `name`: `.NAME.PROCESS.N.tsb`, hidden, and telling which process makes
 * it. A long name is replaced by its hash, so that the result fits every filesystem.
 */
export function tempName(name: string): string {
  counter += 1;
  return `${prefix(name)}${formatIdentity(ownIdentity())}.${counter}.tsb`;
}

/**
 * `text` with the names of outputs in place of their temporary names: for messages, which users read and tools write. A
 * name too long to be in its temporary name becomes "the new file".
 */
export function withoutTempNames(text: string): string {
  const temporary = /(?<=\/)\.([^/\n]+?)\.\d+-\d+-[0-9a-f]{16}\.\d+(?:\.old)?\.tsb/g;
  return text.replace(temporary, (_, label: string) =>
    /^[0-9a-f]{32}$/.test(label) ? 'the new file' : label,
  );
}

/** The name under which a replaced file waits while its successor `temp` (a `tempName`) takes its place. */
export function backupName(temp: string): string {
  return temp.replace(/\.tsb$/, '.old.tsb');
}

/**
 * Removes the temporary files for output `target` whose processes have died; a file that was set aside by one that
 * died in the middle of replacing it gets its name back. Files of processes that cannot be judged from here stay.
 *
 * @throws TSB_LOCKED when a living process other than this one is making the same output
 */
export async function sweepTempFiles(target: string): Promise<void> {
  const folder = dirname(target);
  const start = prefix(basename(target));
  // A folder may be writable and not readable: then there is nothing to be found.
  const entries = await readdir(folder).catch(() => []);
  for (const name of entries.filter((entry) => entry.startsWith(start))) {
    const match = /^([\d]+-[\d]+-[0-9a-f]+)\.\d+(\.old)?\.tsb$/.exec(name.slice(start.length));
    const owner = parseIdentity(match?.[1] ?? '');
    if (!owner) continue;
    const state = processState(owner);
    if (state === 'alive' && owner.pid !== process.pid) throw locked(target, owner.pid);
    if (state === 'dead') await discard(join(folder, name), match?.[2] ? target : undefined);
  }
}

async function discard(path: string, restoreAs: string | undefined): Promise<void> {
  // Linking fails where the name is taken again: then the file set aside has been replaced as intended.
  if (restoreAs !== undefined) await link(path, restoreAs).catch(() => undefined);
  await unlink(path).catch(() => undefined);
}

function prefix(name: string): string {
  const label =
    Buffer.byteLength(name) <= MAX_LABEL_BYTES
      ? name
      : createHash('sha256').update(name).digest('hex').slice(0, 32);
  return `.${label}.`;
}

function locked(target: string, pid: number): TsbuilderError {
  return new TsbuilderError('TSB_LOCKED', `${target}: process ${pid} is making this file now`, {
    hint: 'Wait for it, end it, or choose another output.',
    details: { pid },
  });
}
