import { type Distro, detectDistro, smallText } from './distro.js';
import { ELF_HEAD, elfArch } from './elf-arch.js';
import { type FstabEntry, readFstab } from './fstab.js';
import type { GuestFiles } from './guest.js';
import { type InitSystem, detectInit } from './init-system.js';
import { parseAssignments } from './os-release.js';
import { isMissing } from './read-files.js';

export type PackageManager = 'apt' | 'dnf' | 'yum' | 'zypper' | 'pacman' | 'apk' | 'emerge';

/** What a guest's files say about it. */
export interface GuestOs {
  readonly type: 'linux' | 'unknown';
  /** Undefined when the type is unknown. */
  readonly distro: Distro | undefined;
  /** Of its shell: `x86_64`, `aarch64`, `i386`, ...; undefined when that could not be told. */
  readonly arch: string | undefined;
  readonly init: InitSystem;
  readonly packageManager: PackageManager | undefined;
  readonly fstab: readonly FstabEntry[];
  /** Undefined when the guest has no SELinux or has it disabled. */
  readonly selinux: SelinuxState | undefined;
}

export interface SelinuxState {
  readonly mode: 'enforcing' | 'permissive';
  /** The name of the policy: `targeted`. A plain file name. */
  readonly policy: string;
}

/** Reads what the guest says about itself. Missing or odd files leave a field undefined; damage throws. */
export async function inspectGuest(files: GuestFiles): Promise<GuestOs> {
  const distro = await detectDistro(files);
  return {
    type: distro || (await detectInit(files)) !== 'unknown' ? 'linux' : 'unknown',
    distro,
    arch: await detectArch(files),
    init: await detectInit(files),
    packageManager: await detectPackageManager(files),
    fstab: await readFstab(files),
    selinux: await detectSelinux(files),
  };
}

const PROGRAMS = ['/bin/sh', '/usr/bin/sh', '/bin/bash', '/bin/busybox', '/bin/ls', '/sbin/init'];

async function detectArch(files: GuestFiles): Promise<string | undefined> {
  for (const path of PROGRAMS) {
    const arch = elfArch(await headOf(files, path));
    if (arch !== undefined) return arch;
  }
  return undefined;
}

async function headOf(files: GuestFiles, path: string): Promise<Buffer> {
  try {
    if ((await files.stat(path)).type !== 'file') return Buffer.alloc(0);
    return await files.readHead(path, ELF_HEAD);
  } catch (error) {
    if (isMissing(error)) return Buffer.alloc(0);
    throw error;
  }
}

const MANAGERS: readonly { name: PackageManager; program: string }[] = [
  { name: 'apt', program: '/usr/bin/apt-get' },
  { name: 'dnf', program: '/usr/bin/dnf' },
  { name: 'yum', program: '/usr/bin/yum' },
  { name: 'zypper', program: '/usr/bin/zypper' },
  { name: 'pacman', program: '/usr/bin/pacman' },
  { name: 'apk', program: '/sbin/apk' },
  { name: 'emerge', program: '/usr/bin/emerge' },
];

async function detectPackageManager(files: GuestFiles): Promise<PackageManager | undefined> {
  for (const { name, program } of MANAGERS) if (await files.exists(program)) return name;
  return undefined;
}

async function detectSelinux(files: GuestFiles): Promise<SelinuxState | undefined> {
  const config = parseAssignments((await smallText(files, '/etc/selinux/config')) ?? '');
  const mode = config.get('SELINUX')?.trim().toLowerCase();
  const policy = config.get('SELINUXTYPE')?.trim() ?? 'targeted';
  if ((mode !== 'enforcing' && mode !== 'permissive') || !/^[A-Za-z0-9_-]+$/.test(policy)) return undefined;
  return { mode, policy };
}
