import { TsbuilderError } from '../errors.js';
import type { GuestfishShell } from './appliance-shell.js';

interface Mount {
  readonly point: string;
  /** A device, or `btrfsvol:DEVICE/VOLUME`. */
  readonly device: string;
}

/**
 * Mounts the filesystems of the system on the disk as its fstab says, as libguestfs's inspection reads it.
 *
 * @throws TSB_GUEST when libguestfs finds no system on the disk or more than one, TSB_TOOL_FAILED when mounting fails
 */
export async function mountGuest(shell: GuestfishShell, disk: string): Promise<void> {
  const roots = lines(await shell.send('inspect-os'));
  // What was attached beside the disk may be bootable too.
  const [root, ...others] =
    roots.length > 1 ? roots.filter((device) => !/^\/dev\/sd[b-z]/.test(device)) : roots;
  if (root === undefined || others.length > 0) throw notOne(disk, roots);
  const mounts = lines(await shell.send('inspect-get-mountpoints', root)).map(parseMount);
  mounts.sort((one, other) => one.point.length - other.point.length);
  for (const { device, point } of mounts) await shell.send('mount', device, point);
}

function lines(output: Buffer): string[] {
  return output.toString('latin1').split('\n').filter(Boolean);
}

/** `/boot: /dev/sda1`; the mount point is the guest's own text, the device libguestfs's. */
function parseMount(line: string): Mount {
  const at = line.lastIndexOf(': ');
  const mount = { point: line.slice(0, at), device: line.slice(at + 2) };
  if (at > 0 && mount.point.startsWith('/') && /^(btrfsvol:)?\/dev\//.test(mount.device)) return mount;
  throw new TsbuilderError('TSB_GUEST', `the guest's mount point ${JSON.stringify(line)} is not understood`);
}

function notOne(disk: string, roots: readonly string[]): TsbuilderError {
  const found = roots.length === 0 ? 'no system' : `${roots.length} systems (${roots.join(', ')})`;
  return new TsbuilderError('TSB_GUEST', `${disk}: libguestfs finds ${found} on the disk`, {
    hint: 'Programs of a guest can be run on a disk with exactly one system.',
    details: { systems: roots.length },
  });
}
