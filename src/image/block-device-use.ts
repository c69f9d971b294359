import { readFile, readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuilderError, messageOf } from '../errors.js';
import { readMounts, unescapeOctal } from '../io/mounts.js';

/**
 * Passes when `path` is a block device that nothing uses: neither it nor one of its partitions is mounted, swapped to,
 * or part of another device (RAID, LVM, device-mapper).
 *
 * @throws TSB_OUTPUT_UNUSABLE saying what uses it
 */
export async function assertUnused(path: string): Promise<void> {
  const use = await useOfDevice(await deviceNumber(path));
  if (use === undefined) return;
  throw new TsbuilderError('TSB_OUTPUT_UNUSABLE', `${path}: ${use}`, {
    hint: 'Writing a disk there would destroy what is on it. Release it first, if that is what you want.',
  });
}

/**
 * What uses a disk: a block device, or a file by way of a loop device ("is mounted on /mnt"). Undefined when nothing is known to.
 */
export async function findUse(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isBlockDevice()) return useOfDevice(formatDevice(found.rdev));
  for (const loop of await loopsOver(path)) {
    const number = await readText(`/sys/block/${loop}/dev`);
    const use = number === undefined ? undefined : await useOfDevice(number.trim());
    if (use !== undefined) return `is /dev/${loop}, which ${use}`;
  }
  return undefined;
}

async function useOfDevice(device: string): Promise<string | undefined> {
  for (const number of [device, ...(await partitionsOf(device))]) {
    const use = (await mountOf(number)) ?? (await swapOf(number)) ?? (await holderOf(number));
    if (use !== undefined)
      return number === device ? `is ${use}` : `its partition ${await nameOf(number)} is ${use}`;
  }
  return undefined;
}

/** The loop devices whose content is the file `path`. */
async function loopsOver(path: string): Promise<string[]> {
  const real = await realpath(path).catch(() => path);
  const loops = (await readdir('/sys/block').catch(() => [])).filter((name) => name.startsWith('loop'));
  const files = await Promise.all(loops.map((name) => readText(`/sys/block/${name}/loop/backing_file`)));
  return loops.filter((_, index) => files[index]?.replace(/\n$/, '') === real);
}

/** Where the kernel tells of the block device `path` in /sys, without links. @throws TSB_OUTPUT_UNUSABLE when it is none */
export async function deviceFolder(path: string): Promise<string> {
  const folder = `/sys/dev/block/${await deviceNumber(path)}`;
  return realpath(folder).catch(() => folder);
}

/** `MAJOR:MINOR` of the block device `path`. */
async function deviceNumber(path: string): Promise<string> {
  const found = await stat(path).catch((error: unknown) => {
    throw new TsbuilderError('TSB_OUTPUT_UNUSABLE', `${path}: ${messageOf(error)}`, { cause: error });
  });
  if (!found.isBlockDevice()) {
    throw new TsbuilderError('TSB_OUTPUT_UNUSABLE', `${path}: is not a block device`);
  }
  return formatDevice(found.rdev);
}

/** Linux's encoding of a device number (gnu_dev_major(3)): 12 bits of major, 20 of minor, interleaved. */
function formatDevice(rdev: number): string {
  const value = BigInt(rdev);
  const major = ((value >> 8n) & 0xfffn) | ((value >> 32n) & 0xfffff000n);
  const minor = (value & 0xffn) | ((value >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

async function partitionsOf(device: string): Promise<string[]> {
  const folder = `/sys/dev/block/${device}`;
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const numbers = entries
    .filter((entry) => entry.isDirectory())
    .map(async ({ name }) =>
      (await readText(join(folder, name, 'partition'))) === undefined
        ? undefined
        : (await readText(join(folder, name, 'dev')))?.trim(),
    );
  return (await Promise.all(numbers)).filter((number) => number !== undefined);
}

async function mountOf(device: string): Promise<string | undefined> {
  const mounts = await readMounts();
  const byNumber = mounts.find((mount) => mount.device === device);
  if (byNumber) return `mounted on ${byNumber.mountPoint}`;
  // btrfs and some others mount under an invented device number and only name the real device.
  for (const mount of mounts.filter(({ source }) => source.startsWith('/dev/'))) {
    if ((await numberOrNothing(mount.source)) === device) return `mounted on ${mount.mountPoint}`;
  }
  return undefined;
}

async function swapOf(device: string): Promise<string | undefined> {
  const lines = ((await readText('/proc/swaps')) ?? '').split('\n').slice(1);
  for (const line of lines) {
    const path = unescapeOctal(line.split(/\s/)[0] ?? '');
    if (path.startsWith('/dev/') && (await numberOrNothing(path)) === device) return 'used as swap space';
  }
  return undefined;
}

async function holderOf(device: string): Promise<string | undefined> {
  const holders = await readdir(`/sys/dev/block/${device}/holders`).catch(() => []);
  return holders.length === 0 ? undefined : `part of ${holders.join(', ')}`;
}

async function numberOrNothing(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.isBlockDevice() ? formatDevice(found.rdev) : undefined;
}

async function nameOf(device: string): Promise<string> {
  const path = await realpath(`/sys/dev/block/${device}`).catch(() => device);
  return path.slice(path.lastIndexOf('/') + 1);
}

async function readText(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}
