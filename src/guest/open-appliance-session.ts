import { isAbsolute, resolve } from 'node:path';
import { TsbuilderError, messageOf } from '../errors.js';
import { LAUNCH_HINT, assertGuestfish, guestfishEnvironments, openGuestfishFolder } from '../io/guestfish.js';
import { assertRunnable } from './assert-runnable.js';
import { applianceGuest } from './appliance-guest.js';
import { type ApplianceBase, openApplianceBase } from './appliance-base.js';
import { type ApplianceChannel, openChannel } from './appliance-channel.js';
import { mountGuest } from './appliance-mounts.js';
import { runScript } from './appliance-run.js';
import type { ApplianceOptions, ApplianceSession } from './appliance-session.js';
import { type GuestfishShell, openGuestfishShell } from './appliance-shell.js';
import { toByteString } from './byte-path.js';
import { inspectGuest } from './inspect.js';
import type { AbsentMount } from './mounted/mount.js';
import { guestFiles } from './read-files.js';
import { oneAtATime } from '../io/one-at-a-time.js';
import { openTree } from './tree.js';

const MIB = 1024 * 1024;

/**
 * Starts a libguestfs appliance over a disk and mounts what the system on it mounts. Without usable KVM that takes about
 * 15 seconds. On abort the appliance is killed, and nothing of it is left but the disk.
 *
 * @throws TSB_TOOL_MISSING without libguestfs, TSB_TOOL_FAILED when the appliance does not start or cannot mount, TSB_GUEST
 *   when there is not exactly one system on the disk and none is named, or something that its fstab mounts is not there
 */
export async function openApplianceSession(options: ApplianceOptions): Promise<ApplianceSession> {
  await assertGuestfish(options.neededFor, options.signal);
  const folder = await openGuestfishFolder();
  const resources: AsyncDisposable[] = [folder];
  try {
    const channel = await openChannel(folder.path);
    resources.unshift(channel);
    const shell = await launch(options, folder.path, channel);
    resources.unshift(shell);
    const absent = await mountGuest(shell, options);
    return await sessionOver(shell, { options, channel, folder: folder.path, absent, resources });
  } catch (error) {
    for (const resource of resources) await resource[Symbol.asyncDispose]();
    throw error;
  }
}

async function launch(
  options: ApplianceOptions,
  folder: string,
  channel: ApplianceChannel,
): Promise<GuestfishShell> {
  using _ = options.progress.step('Starting the libguestfs appliance');
  let failure: unknown;
  for (const env of await guestfishEnvironments(folder)) {
    const shell = openGuestfishShell(env, options.signal);
    try {
      for (const [command, ...words] of drives(options, channel)) await shell.send(command, ...words);
      failure = await shell.send('run').then(() => undefined, launchError);
      if (failure === undefined) return shell;
    } catch (error) {
      await shell[Symbol.asyncDispose]();
      throw error;
    }
    await shell[Symbol.asyncDispose]();
    options.signal?.throwIfAborted();
  }
  throw failure;
}

function launchError(error: unknown): TsbuilderError {
  return new TsbuilderError(
    'TSB_TOOL_FAILED',
    `the libguestfs appliance does not start: ${messageOf(error)}`,
    { hint: LAUNCH_HINT, cause: error },
  );
}

/** Commands before `run`. */
function drives(options: ApplianceOptions, channel: ApplianceChannel): (readonly [string, ...string[]])[] {
  const cache = options.sync === true ? [] : ['cachemode:unsafe'];
  const { sectorSize = 512, format = 'raw', attach = [] } = options;
  const blocks = sectorSize === 512 ? [] : [`blocksize:${sectorSize}`];
  const drive = [`format:${format}`, 'readonly:false', 'discard:besteffort', ...cache, ...blocks];
  return [
    ...(options.memory === undefined
      ? []
      : [command('set-memsize', String(Math.ceil(options.memory / MIB)))]),
    ...(options.smp === undefined ? [] : [command('set-smp', String(options.smp))]),
    command('set-network', options.network === true ? 'true' : 'false'),
    command('add-drive', hostPath(options.disk), ...drive),
    ...attach.map((path) => command('add-drive', hostPath(path), 'format:raw', 'readonly:true')),
    ...channel.commands,
  ];
}

function command(name: string, ...words: string[]): [string, ...string[]] {
  return [name, ...words];
}

/** Of a path that does not begin with a slash, guestfish could think that it is a URI. */
function hostPath(path: string): string {
  return toByteString(isAbsolute(path) ? path : resolve(path));
}

async function sessionOver(
  shell: GuestfishShell,
  how: {
    options: ApplianceOptions;
    channel: ApplianceChannel;
    folder: string;
    absent: readonly AbsentMount[];
    resources: readonly AsyncDisposable[];
  },
): Promise<ApplianceSession> {
  const { options, channel, folder, absent } = how;
  const now = options.fakeTime ?? Math.floor(Date.now() / 1000);
  const serially = oneAtATime();
  let base = await openApplianceBase(shell, options.disk);
  let tree = openTree(base, now);
  const refresh = async (): Promise<ApplianceBase> => {
    base = await openApplianceBase(shell, options.disk);
    tree = openTree(base, now);
    return base;
  };
  const files = guestFiles(() => tree, serially);
  const os = await inspectGuest(files);
  return {
    os,
    files,
    run: (script, { log } = {}) =>
      serially(async () => {
        assertRunnable(options.disk, os);
        const onLine = (line: string): void => options.progress.detail(line);
        const result = await runScript(script, { shell, channel, folder, log, onLine });
        await refresh();
        return result;
      }),
    guest: () => applianceGuest({ os, shell, folder, now, base, absent, refresh }),
    close: () =>
      serially(async () => {
        await shell.send('umount-all');
        await shell.send('shutdown');
        await shell.end();
      }),
    [Symbol.asyncDispose]: async () => {
      for (const resource of how.resources) await resource[Symbol.asyncDispose]();
    },
  };
}
