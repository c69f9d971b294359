import { TsbuilderError, messageOf } from '../errors.js';
import { openApplianceBase } from './appliance-base.js';
import type { GuestfishShell } from './appliance-shell.js';
import { ATTACHED, type ApplianceVolume, applianceVolumes, isSystemOn } from './appliance-volumes.js';
import { toByteString } from './byte-path.js';
import { type DeviceTable, findDevice } from './find-device.js';
import { type FstabEntry, readFstab } from './fstab.js';
import type { GuestFiles } from './guest.js';
import { type BootMount, bootMounts, fstabLine } from './mounted/boot-mounts.js';
import type { AbsentMount } from './mounted/mount.js';
import { absenceOf } from './mounted/plan-mounts.js';
import { guestFiles, isMissing } from './read-files.js';
import { openTree } from './tree.js';

interface Mounting {
  readonly shell: GuestfishShell;
  /** Its path, for messages. */
  readonly disk: string;
  readonly table: DeviceTable<ApplianceVolume>;
  /** Mount points and what libguestfs's own inspection would mount there: a device, or `btrfsvol:DEVICE/VOLUME`. */
  readonly known: ReadonlyMap<string, string>;
}

/** Which system is meant. */
export interface MeantSystem {
  /** The path of its disk, for messages. */
  readonly disk: string;
  /** Where its root is (`2`, `vg/root`). Default: there is only one system. */
  readonly root?: string | undefined;
}

/**
 * Mounts the system on the disk: its root filesystem, where libguestfs finds it, and everything that its fstab mounts at boot. libguestfs
 * itself leaves out what it cannot resolve, and programs would then write into the folder that the mount hides.
 *
 * @returns what the guest mounts from a network or the like; nothing can be mounted there
 * @throws TSB_GUEST when libguestfs finds no such system on the disk or more than one, and for a line of fstab that cannot be mounted
 */
export async function mountGuest(shell: GuestfishShell, meant: MeantSystem): Promise<AbsentMount[]> {
  const { disk } = meant;
  const root = chooseSystem(lines(await shell.send('inspect-os')), meant);
  const known = new Map(lines(await shell.send('inspect-get-mountpoints', root)).map(parseMount));
  await shell.send('mount', root, '/');
  const fstab = await readFstab(await filesNow(shell, disk));
  const mounts = bootMounts([...unmentioned(known, fstab), ...fstab]);
  const mounting = { shell, disk, known, table: await applianceVolumes(shell) };
  const absent: AbsentMount[] = [];
  for (const mount of mounts) {
    const point = await placeOf(mounting, mount);
    if (point === '/') continue;
    if (mount.from === 'folder') await bindFolder(mounting, mount, point);
    else if (mount.from === 'disk') await mountDevice(mounting, mount, point);
    const why = mount.from === 'elsewhere' ? absenceOf(mount) : undefined;
    if (why !== undefined) absent.push({ point, why });
  }
  return absent;
}

function chooseSystem(roots: readonly string[], { disk, root }: MeantSystem): string {
  // What was attached beside the disk may be bootable too.
  const own = roots.length > 1 ? roots.filter((device) => !ATTACHED.test(device)) : roots;
  const [found, ...others] = root === undefined ? own : own.filter((device) => isSystemOn(device, root));
  if (found !== undefined && others.length === 0) return found;
  const systems = own.length === 0 ? 'no system' : `${own.length} systems (${own.join(', ')})`;
  const message = `${disk}: libguestfs finds ${systems} on the disk${root === undefined ? '' : `, not one whose root is on ${root}`}`;
  throw new TsbuilderError('TSB_GUEST', message, {
    hint: own.length > 1 ? 'Say which one is meant: --root, with its partition or LVM volume.' : undefined,
    details: { systems: own.length },
  });
}

/** What libguestfs knows to be mounted by other means than fstab. */
function unmentioned(known: ReadonlyMap<string, string>, fstab: readonly FstabEntry[]): FstabEntry[] {
  const mentioned = new Set(fstab.map(({ mountPoint }) => mountPoint));
  return [...known].flatMap(([mountPoint, device]) =>
    mentioned.has(mountPoint)
      ? []
      : [{ device: device.replace(/^btrfsvol:/, ''), mountPoint, type: 'auto', options: [] }],
  );
}

/** What is mounted so far. */
async function filesNow(shell: GuestfishShell, disk: string): Promise<GuestFiles> {
  const tree = openTree(await openApplianceBase(shell, disk), 0);
  return guestFiles(
    () => tree,
    (job) => job(),
  );
}

/** The mount point without links: the appliance would follow them out of the guest. */
async function placeOf({ shell, disk }: Mounting, mount: BootMount): Promise<string> {
  try {
    return await (await filesNow(shell, disk)).realPath(mount.mountPoint);
  } catch (error) {
    if (isMissing(error)) return mount.mountPoint;
    throw error;
  }
}

async function mountDevice(mounting: Mounting, mount: BootMount, point: string): Promise<void> {
  const { disk, shell, table, known } = mounting;
  const device = findDevice(table, mount.entry.device)?.device ?? known.get(mount.mountPoint);
  if (device === undefined || ATTACHED.test(device)) {
    const absence = absenceOf(mount);
    if (absence === undefined) return;
    throw cannotMount(mounting, mount, `${disk}: ${absence}`);
  }
  const options = mount.entry.options.filter((option) => /^subvol(id)?=/.test(option)).join(',');
  await tryTo(mounting, mount, async () => {
    await makeMountPoint(mounting, point);
    await shell.send('mount-options', options, device, toByteString(point));
  });
}

async function bindFolder(mounting: Mounting, mount: BootMount, point: string): Promise<void> {
  const { disk, shell } = mounting;
  await tryTo(mounting, mount, async () => {
    const source = await (await filesNow(shell, disk)).realPath(mount.entry.device);
    await makeMountPoint(mounting, point);
    await shell.send('debug', 'sh', `mount --bind ${applianceWord(source)} ${applianceWord(point)}`);
  });
}

/** The guest's own init makes it too. */
async function makeMountPoint({ shell, disk }: Mounting, point: string): Promise<void> {
  if (!(await (await filesNow(shell, disk)).exists(point))) await shell.send('mkdir-p', toByteString(point));
}

/** A path of the guest for the appliance's shell. */
function applianceWord(path: string): string {
  return toByteString(`'/sysroot${path.replaceAll(`'`, `'\\''`)}'`);
}

async function tryTo(mounting: Mounting, mount: BootMount, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const line = `${mounting.disk}: ${mount.mountPoint} cannot be mounted as /etc/fstab says (${fstabLine(mount.entry)})`;
    throw cannotMount(mounting, mount, `${line}: ${messageOf(error)}`, error);
  }
}

function cannotMount(
  { disk }: Mounting,
  { mountPoint, entry }: BootMount,
  ...[message, cause]: [message: string, cause?: unknown]
): TsbuilderError {
  return new TsbuilderError('TSB_GUEST', message, {
    hint: `What programs of the guest write below ${mountPoint} would be lost. Where it is to run without that, give the line in /etc/fstab the option nofail or noauto, with an --edit before.`,
    details: { disk, mountPoint, device: entry.device, reason: 'not-on-disk' },
    cause,
  });
}

function lines(output: Buffer): string[] {
  return output.toString('latin1').split('\n').filter(Boolean);
}

/** `/boot: /dev/sda1`; the mount point is the guest's own text, the device libguestfs's. */
function parseMount(line: string): [point: string, device: string] {
  const at = line.lastIndexOf(': ');
  return [Buffer.from(line.slice(0, Math.max(0, at)), 'latin1').toString('utf8'), line.slice(at + 2)];
}
