import { TsbuilderError } from '../errors.js';
import { type ExecResult, exec } from '../io/exec.js';
import {
  GUESTFISH_PACKAGE,
  LAUNCH_HINT,
  guestfishEnvironments,
  isLaunchFailure,
  openGuestfishFolder,
  sectorSizeOption,
} from '../io/guestfish.js';
import { watchWrites } from '../io/write-watch.js';
import type { GrowOptions } from './grow-ext.js';
import type { GrowStep } from './resize-plan.js';

/**
 * Grows what only its own kernel driver or tools can grow (XFS, btrfs, NTFS, LVM) in one libguestfs session over the disk
 * file. Without usable KVM that takes about 15 seconds.
 *
 * @throws TSB_TOOL_MISSING when guestfish is not installed, TSB_FILESYSTEM with its message when a step fails, TSB_NO_SPACE
 */
export async function growWithGuestfish(
  disk: { readonly path: string; readonly sectorSize: number },
  steps: readonly GrowStep[],
  options: GrowOptions,
): Promise<void> {
  await using folder = await openGuestfishFolder();
  await using watch = await watchWrites({ folder: folder.path, image: disk.path, signal: options.signal });
  const commands = [...watch.commands, ...commandsOver(disk, steps, options)];
  // After two dashes words with a dash in front are no options of guestfish's own.
  const args = commands.flatMap((command, index) => [index === 0 ? '--' : ':', ...command]);
  const result = await runSession(args, { folder: folder.path, signal: watch.signal });
  if (result.status !== 0) throw failure(steps, result);
}

/** Commands of guestfish; on its command line they have `:` between them, and are never seen by a shell. */
function commandsOver(
  disk: { readonly path: string; readonly sectorSize: number },
  steps: readonly GrowStep[],
  options: GrowOptions,
): string[][] {
  const cache = options.sync === true ? [] : ['cachemode:unsafe'];
  return [
    ['add-drive', disk.path, 'format:raw', ...cache, ...sectorSizeOption(disk.sectorSize)],
    ['run'],
    ...steps.flatMap(commandsFor),
  ];
}

function commandsFor(step: GrowStep): string[][] {
  const device = step.partition === 0 ? '/dev/sda' : `/dev/sda${step.partition}`;
  switch (step.content) {
    case 'xfs':
      return mounted(device, ['xfs-growfs', '/']);
    case 'btrfs':
      return mounted(device, ['btrfs-filesystem-resize', '/']);
    case 'ntfs':
      return [['ntfsresize', device]];
    case 'lvm-pv':
      return [['pvresize', device], ...(step.volume ? volumeCommands(step.volume) : [])];
    case 'ext':
      return [
        ['e2fsck', device, 'correct:true'],
        ['resize2fs', device],
      ];
    case 'swap':
      return [];
  }
}

function mounted(device: string, command: string[]): string[][] {
  return [['mount', device, '/'], command, ['umount', '/']];
}

function volumeCommands({ device, content }: NonNullable<GrowStep['volume']>): string[][] {
  const step = { partition: 0, offset: 0, length: 0, oldSize: 0, name: content, content };
  const inside = commandsFor(step).map((command) =>
    command.map((word) => (word === '/dev/sda' ? device : word)),
  );
  return [['lvresize-free', device, '100'], ...inside];
}

interface Session {
  readonly folder: string;
  readonly signal?: AbortSignal | undefined;
}

/** One session, in the first environment in which the appliance starts. */
async function runSession(args: readonly string[], session: Session): Promise<ExecResult> {
  let result: ExecResult | undefined;
  for (const env of await guestfishEnvironments(session.folder)) {
    result = await exec('guestfish', args, {
      signal: session.signal,
      debianPackage: GUESTFISH_PACKAGE,
      okStatus: [0, 1, 2, 3],
      env,
    });
    if (!isLaunchFailure(result.stderr)) break;
  }
  return result as ExecResult;
}

function failure(steps: readonly GrowStep[], result: ExecResult): TsbuilderError {
  const what = steps.map(
    ({ name, partition }) => `${name} on ${partition === 0 ? 'the disk' : `partition ${partition}`}`,
  );
  const launch = isLaunchFailure(result.stderr);
  return new TsbuilderError(
    'TSB_FILESYSTEM',
    `${what.join(', ')} could not be grown by guestfish: ${result.stderr
      .trim()
      .split('\n')
      .slice(0, launch ? 3 : 10)
      .join('\n')}`,
    { hint: launch ? LAUNCH_HINT : undefined },
  );
}
