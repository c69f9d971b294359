import { isAbsolute, resolve } from 'node:path';
import { TsbuilderError, messageOf } from '../errors.js';
import { LAUNCH_HINT, guestfishEnvironments } from '../io/guestfish.js';
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
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Starts a libguestfs appliance after `commands`, which say what is attached to it: in the first environment in which it starts.
 *
 * @throws TSB_TOOL_FAILED when it starts in none, TSB_TOOL_MISSING
 */
export async function launchAppliance(
  commands: readonly GuestfishCommand[],
  { folder, neededFor, progress, signal }: LaunchOptions,
): Promise<GuestfishShell> {
  using _ = progress.step('Starting the libguestfs appliance');
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
