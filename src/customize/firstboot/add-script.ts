import { TsbuilderError } from '../../errors.js';
import type { FileContent, Guest } from '../../guest/guest.js';
import { DONE_SUFFIX, HOME, RUNNER, RUNNER_TEXT, SCRIPTS } from './runner.js';
import { addFirstbootService } from './services.js';

/** A script to be run at the guest's first boot. */
export interface FirstbootScript {
  /** What it is called in the guest's log. */
  readonly name: string;
  readonly content: FileContent;
  /** It is to wait for the network. Default: no. */
  readonly network?: boolean | undefined;
}

const MAX_SCRIPTS = 9999;
const MAX_NAME = 60;

/**
 * Adds a script behind those that are already to be run at the guest's first boot.
 *
 * @returns its path in the guest
 * @throws TSB_GUEST when the guest's init system is not known or something is in the way
 */
export async function addFirstbootScript(guest: Guest, script: FirstbootScript): Promise<string> {
  await guest.mkdir(HOME, { parents: true });
  // What people put into such scripts is often secret.
  await guest.mkdir(SCRIPTS, { parents: true, mode: 0o700 });
  const path = `${SCRIPTS}/${await nextNumber(guest)}-${fileName(script.name)}`;
  await guest.writeFile(RUNNER, RUNNER_TEXT, { mode: 0o755, uid: 0, gid: 0 });
  await guest.writeFile(path, script.content, { mode: 0o700, uid: 0, gid: 0 });
  await addFirstbootService(guest, { network: script.network ?? false });
  return path;
}

async function nextNumber(guest: Guest): Promise<string> {
  const numbers = (await guest.list(SCRIPTS)).map((name) => /^(\d{4})-/.exec(name)?.[1] ?? '0');
  const next = Math.max(0, ...numbers.map(Number)) + 1;
  if (next <= MAX_SCRIPTS) return String(next).padStart(4, '0');
  throw new TsbuilderError(
    'TSB_GUEST',
    `${guest.name}: there are ${MAX_SCRIPTS} first boot scripts already, no more fit`,
  );
}

/** A name without anything that a shell or the runner takes for more than a name. */
function fileName(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9._-]/g, '-').slice(0, MAX_NAME);
  return plain.replace(DONE_SUFFIX, '-$1') || 'script';
}
