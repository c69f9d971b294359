import { isAbsolute, resolve } from 'node:path';
import { TsbuilderError, messageOf } from '../errors.js';
import { LAUNCH_HINT, guestfishEnvironments } from '../io/guestfish.js';
import { type WriteWatch, watchWrites } from '../io/write-watch.js';
import type { Progress } from '../progress.js';
import { type GuestfishShell, openGuestfishShell } from './appliance-shell.js';
import { toByteString } from './byte-path.js';

/** A command of guestfish's and its words, byte strings. */
export type GuestfishCommand = readonly [string, ...string[]];

/** How an appliance is started. */
export interface LaunchOptions {
  /** Where everything that it makes goes. */
  readonly folder: string;
  /** What needs it, for messages: `--install`. */
  readonly neededFor?: string | undefined;
  /** The image that is written to, for messages. */
  readonly image: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Starts a libguestfs appliance after `commands`, which say what is attached to it: in the first environment in which it starts.
 *
 * What is sent to it rejects, and it is killed, when what it writes cannot be written on this machine.
 *
 * @throws TSB_TOOL_FAILED when it starts in none, TSB_TOOL_MISSING
 */
export async function launchAppliance(
  commands: readonly GuestfishCommand[],
  options: LaunchOptions,
): Promise<GuestfishShell> {
  using _ = options.progress.step('Starting the libguestfs appliance');
  const watch = await watchWrites(options);
  try {
    const shell = await start([...commands, ...watch.commands], { ...options, signal: watch.signal });
    return { ...shell, [Symbol.asyncDispose]: () => endBoth(shell, watch) };
  } catch (error) {
    await watch[Symbol.asyncDispose]();
    throw error;
  }
}

async function endBoth(shell: GuestfishShell, watch: WriteWatch): Promise<void> {
  await shell[Symbol.asyncDispose]();
  await watch[Symbol.asyncDispose]();
}

async function start(
  commands: readonly GuestfishCommand[],
  { folder, neededFor, signal }: LaunchOptions,
): Promise<GuestfishShell> {
  let failure: unknown;
  for (const env of await guestfishEnvironments(folder)) {
    const shell = openGuestfishShell(env, signal);
    try {
      for (const [command, ...words] of commands) await shell.send(command, ...words);
      failure = await shell.send('run').then(
        () => undefined,
        (error: unknown) => launchError(error, neededFor),
      );
      if (failure === undefined) return shell;
    } catch (error) {
      await shell[Symbol.asyncDispose]();
      throw error;
    }
    await shell[Symbol.asyncDispose]();
    signal?.throwIfAborted();
  }
  throw failure;
}

function launchError(error: unknown, neededFor: string | undefined): TsbuilderError {
  const what =
    neededFor === undefined
      ? 'the libguestfs appliance does not start'
      : `${neededFor} needs a libguestfs appliance, which does not start`;
  return new TsbuilderError('TSB_TOOL_FAILED', `${what}: ${messageOf(error)}`, {
    hint: LAUNCH_HINT,
    cause: error,
  });
}

/** A path of this machine as a word for guestfish: one that does not begin with a slash it could take for a URI. */
export function hostPath(path: string): string {
  return toByteString(isAbsolute(path) ? path : resolve(path));
}
