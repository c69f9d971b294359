import type { GuestFiles } from './guest.js';
import { parseAssignments } from './os-release.js';
import { isMissing } from './read-files.js';

/** Distributions that do things in the same places. */
export type DistroFamily = 'debian' | 'redhat' | 'suse' | 'arch' | 'alpine' | 'gentoo' | 'cirros' | 'other';

/** Which distribution a guest is. */
export interface Distro {
  /** os-release's ID, or what it would be: `debian`, `ubuntu`, `fedora`, `rhel`. */
  readonly id: string;
  readonly family: DistroFamily;
  /** For people: "Debian GNU/Linux 12 (bookworm)". */
  readonly name: string;
  /** As the distribution writes it: "12", "22.04", "3.18.4", "" for a rolling one. */
  readonly version: string;
  readonly codename: string;
}

const FAMILIES: Readonly<Record<string, DistroFamily>> = {
  debian: 'debian',
  ubuntu: 'debian',
  raspbian: 'debian',
  linuxmint: 'debian',
  kali: 'debian',
  devuan: 'debian',
  fedora: 'redhat',
  rhel: 'redhat',
  centos: 'redhat',
  almalinux: 'redhat',
  rocky: 'redhat',
  ol: 'redhat',
  amzn: 'redhat',
  scientific: 'redhat',
  suse: 'suse',
  opensuse: 'suse',
  'opensuse-leap': 'suse',
  'opensuse-tumbleweed': 'suse',
  sles: 'suse',
  sled: 'suse',
  arch: 'arch',
  archarm: 'arch',
  manjaro: 'arch',
  alpine: 'alpine',
  gentoo: 'gentoo',
  cirros: 'cirros',
};

/** Undefined for a name that is in no table, whatever a guest calls itself (`constructor`). */
function familyOf(id: string): DistroFamily | undefined {
  return Object.hasOwn(FAMILIES, id) ? FAMILIES[id] : undefined;
}

const MAX_BYTES = 65536;

/** The text of a small file, or undefined when there is none, it is too large or it is not a regular file. */
export async function smallText(files: GuestFiles, path: string): Promise<string | undefined> {
  try {
    if ((await files.stat(path)).type !== 'file') return undefined;
    return (await files.readHead(path, MAX_BYTES)).toString('utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/**
 * Which distribution the files are, from os-release, else from the older files that each distribution had; undefined
 * when nothing says that this is a Linux system.
 */
export async function detectDistro(files: GuestFiles): Promise<Distro | undefined> {
  const cirros = await smallText(files, '/etc/cirros/version');
  if (cirros !== undefined) return distro('cirros', { name: 'CirrOS', version: cirros.trim() });
  const release =
    (await smallText(files, '/etc/os-release')) ?? (await smallText(files, '/usr/lib/os-release'));
  const found = release === undefined ? undefined : fromOsRelease(parseAssignments(release));
  const lsb = await fromLsbRelease(files);
  if (found?.id === lsb?.id && found?.codename === '') return { ...found, codename: lsb?.codename ?? '' };
  return found ?? lsb ?? (await fromOldFiles(files));
}

function fromOsRelease(values: Map<string, string>): Distro | undefined {
  const id = values.get('ID')?.toLowerCase();
  if (!id) return undefined;
  const like = (values.get('ID_LIKE') ?? '').toLowerCase().split(/\s+/);
  const family = [id, ...like].map(familyOf).find((name) => name !== undefined);
  return {
    id,
    family: family ?? 'other',
    name: values.get('PRETTY_NAME') ?? values.get('NAME') ?? id,
    version: values.get('VERSION_ID') ?? '',
    codename: values.get('VERSION_CODENAME') ?? inParentheses(values.get('VERSION') ?? ''),
  };
}

/** The code name in `7 (wheezy)` and `release 5.11 (Tikanga)`; CentOS has none but says "Final". */
function inParentheses(text: string): string {
  const found = /\(([^()]+)\)\s*$/.exec(text)?.[1] ?? '';
  return found === 'Final' ? '' : found;
}

async function fromLsbRelease(files: GuestFiles): Promise<Distro | undefined> {
  const values = parseAssignments((await smallText(files, '/etc/lsb-release')) ?? '');
  const id = values.get('DISTRIB_ID')?.toLowerCase();
  if (!id) return undefined;
  return distro(id, {
    name: values.get('DISTRIB_DESCRIPTION') ?? id,
    version: values.get('DISTRIB_RELEASE') ?? '',
    codename: values.get('DISTRIB_CODENAME') ?? '',
  });
}

/** The files that say what a system is, oldest convention; the first that exists decides. */
const OLD_FILES: readonly { path: string; id: string; name: string }[] = [
  { path: '/etc/fedora-release', id: 'fedora', name: 'Fedora' },
  { path: '/etc/centos-release', id: 'centos', name: 'CentOS' },
  { path: '/etc/oracle-release', id: 'ol', name: 'Oracle Linux' },
  { path: '/etc/redhat-release', id: 'rhel', name: 'Red Hat Enterprise Linux' },
  { path: '/etc/SuSE-release', id: 'opensuse', name: 'SUSE' },
  { path: '/etc/alpine-release', id: 'alpine', name: 'Alpine Linux' },
  { path: '/etc/arch-release', id: 'arch', name: 'Arch Linux' },
  { path: '/etc/gentoo-release', id: 'gentoo', name: 'Gentoo' },
  { path: '/etc/debian_version', id: 'debian', name: 'Debian GNU/Linux' },
];

async function fromOldFiles(files: GuestFiles): Promise<Distro | undefined> {
  for (const { path, id, name } of OLD_FILES) {
    const text = await smallText(files, path);
    if (text === undefined) continue;
    const first = (text.split('\n')[0] ?? '').trim();
    if (path === '/etc/SuSE-release') return fromSuseRelease(first, text);
    const version = /\d+(\.\d+)*/.exec(first)?.[0] ?? '';
    return distro(redhatId(first) ?? id, {
      name: /[A-Za-z] /.test(first) ? first : `${name} ${first}`.trim(),
      version,
      // Debian's file says "wheezy/sid" in what is not released, never a code name in parentheses.
      codename: inParentheses(first),
    });
  }
  return undefined;
}

/** A first line for people, then `VERSION = 11` and in SUSE Linux Enterprise the service pack: `PATCHLEVEL = 4`. */
function fromSuseRelease(first: string, text: string): Distro {
  const field = (name: string): string =>
    new RegExp(`^${name}\\s*=\\s*(.*)$`, 'm').exec(text)?.[1]?.trim() ?? '';
  const patch = field('PATCHLEVEL');
  const version = field('VERSION') || (/\d+(\.\d+)*/.exec(first)?.[0] ?? '');
  const id = /^SUSE Linux Enterprise Desktop/.test(first)
    ? 'sled'
    : /^SUSE Linux Enterprise/.test(first)
      ? 'sles'
      : 'opensuse';
  return distro(id, {
    name: first,
    version: patch === '' || patch === '0' || version.includes('.') ? version : `${version}.${patch}`,
    codename: field('CODENAME'),
  });
}

/** /etc/redhat-release is everybody's in that family; its words tell whose. */
function redhatId(line: string): string | undefined {
  const words: Readonly<Record<string, string>> = {
    Fedora: 'fedora',
    CentOS: 'centos',
    Scientific: 'scientific',
    AlmaLinux: 'almalinux',
    Rocky: 'rocky',
    Oracle: 'ol',
  };
  const word = line.split(' ')[0] ?? '';
  return Object.hasOwn(words, word) ? words[word] : undefined;
}

function distro(id: string, facts: { name: string; version: string; codename?: string }): Distro {
  return { id, family: familyOf(id) ?? 'other', codename: '', ...facts };
}
