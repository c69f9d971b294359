import { assertGuestfish, openGuestfishFolder, sectorSizeOption } from '../io/guestfish.js';
import { assertRunnable } from './assert-runnable.js';
import { applianceGuest } from './appliance-guest.js';
import { type ApplianceBase, openApplianceBase } from './appliance-base.js';
import { type ApplianceChannel, openChannel } from './appliance-channel.js';
import { type GuestfishCommand, hostPath, launchAppliance } from './appliance-launch.js';
import { mountGuest } from './appliance-mounts.js';
import { runScript } from './appliance-run.js';
import type { ApplianceOptions, ApplianceSession } from './appliance-session.js';
import type { GuestfishShell } from './appliance-shell.js';
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
    const shell = await launchAppliance(drives(options, channel), {
      folder: folder.path,
      neededFor: options.neededFor,
      image: options.disk,
      progress: options.progress,
      signal: options.signal,
    });
    resources.unshift(shell);
    const absent = await mountGuest(shell, options);
    return await sessionOver(shell, { options, channel, folder: folder.path, absent, resources });
  } catch (error) {
    for (const resource of resources) await resource[Symbol.asyncDispose]();
    throw error;
  }
}

/** Commands before `run`. */
function drives(options: ApplianceOptions, channel: ApplianceChannel): GuestfishCommand[] {
  const cache = options.sync === true ? [] : ['cachemode:unsafe'];
  const { sectorSize = 512, format = 'raw', attach = [] } = options;
  const drive = [
    `format:${format}`,
    'readonly:false',
    'discard:besteffort',
    ...cache,
    ...sectorSizeOption(sectorSize),
  ];
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

const command = (...words: GuestfishCommand): GuestfishCommand => words;

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
