import { smallText } from './distro.js';
import type { GuestFiles } from './guest.js';
import { parseAssignments } from './os-release.js';
import { isMissing } from './read-files.js';

/** Where a guest's machine-id(5) stands: `uninitialized` is what images for a first boot say. */
export type MachineIdState = 'absent' | 'empty' | 'uninitialized' | 'set';

/** A kernel of a guest. */
export interface GuestKernel {
  /** As `uname -r` says it: `6.1.0-18-amd64`. */
  readonly version: string;
  /** In /boot, and with modules in /lib/modules. */
  readonly boot: boolean;
  readonly modules: boolean;
}

/** What an inspection tells besides what customising needs. */
export interface GuestDetails {
  readonly hostname: string | undefined;
  readonly kernels: readonly GuestKernel[];
  readonly machineId: MachineIdState;
  readonly cloudInit: boolean;
  /** What its boot loaders are configured by, by name: `grub2`, `systemd-boot`, ... */
  readonly bootLoaders: readonly string[];
}

/** Reads what a guest's files say about it. Missing or odd files leave a field empty; damage throws. */
export async function readGuestDetails(files: GuestFiles): Promise<GuestDetails> {
  return {
    hostname: await readHostname(files),
    kernels: await findKernels(files),
    machineId: await machineIdState(files),
    cloudInit: await anyExists(files, '/etc/cloud/cloud.cfg', '/usr/bin/cloud-init'),
    bootLoaders: await findBootLoaders(files),
  };
}

/** /etc/hostname, else where the distributions kept it before. */
async function readHostname(files: GuestFiles): Promise<string | undefined> {
  for (const path of ['/etc/hostname', '/etc/HOSTNAME']) {
    const lines = ((await smallText(files, path)) ?? '').split('\n').map((line) => line.trim());
    const name = lines.find((line) => line !== '' && !line.startsWith('#'));
    if (name !== undefined) return name;
  }
  const assigned = [
    { path: '/etc/sysconfig/network', key: 'HOSTNAME' },
    { path: '/etc/conf.d/hostname', key: 'hostname' },
    { path: '/etc/rc.conf', key: 'HOSTNAME' },
  ];
  for (const { path, key } of assigned) {
    const name = parseAssignments((await smallText(files, path)) ?? '').get(key);
    if (name !== undefined && name !== '') return name;
  }
  return undefined;
}

async function findKernels(files: GuestFiles): Promise<GuestKernel[]> {
  const images = await namesIn(files, '/boot');
  const boot = new Set(
    images.flatMap((name) => /^(?:vmlinu[xz]|[bz]?[Ii]mage|kernel)-(.*\d.*)$/.exec(name)?.[1] ?? []),
  );
  const modules = new Set((await namesIn(files, '/lib/modules')).filter((name) => /^\d+\.\d/.test(name)));
  return [...new Set([...boot, ...modules])]
    .filter((version) => /^\d+\.\d/.test(version))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .map((version) => ({ version, boot: boot.has(version), modules: modules.has(version) }));
}

async function machineIdState(files: GuestFiles): Promise<MachineIdState> {
  const text = (await smallText(files, '/etc/machine-id'))?.trim();
  if (text === undefined) return 'absent';
  if (text === '') return 'empty';
  return text === 'uninitialized' ? 'uninitialized' : 'set';
}

const LOADERS: Readonly<Record<string, readonly string[]>> = {
  grub2: ['/boot/grub/grub.cfg', '/boot/grub2/grub.cfg', '/boot/efi/EFI/fedora/grub.cfg'],
  'grub legacy': ['/boot/grub/menu.lst', '/boot/grub/grub.conf'],
  'systemd-boot': ['/boot/loader/loader.conf', '/efi/loader/loader.conf'],
  extlinux: ['/boot/extlinux/extlinux.conf', '/boot/extlinux.conf', '/boot/syslinux/syslinux.cfg'],
  lilo: ['/etc/lilo.conf'],
};

async function findBootLoaders(files: GuestFiles): Promise<string[]> {
  const found: string[] = [];
  for (const [name, paths] of Object.entries(LOADERS)) if (await anyExists(files, ...paths)) found.push(name);
  return found;
}

async function anyExists(files: GuestFiles, ...paths: readonly string[]): Promise<boolean> {
  for (const path of paths) if (await files.exists(path)) return true;
  return false;
}

/** The names in a folder; none where there is no such folder. */
export async function namesIn(files: GuestFiles, path: string): Promise<string[]> {
  try {
    return await files.list(path);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
