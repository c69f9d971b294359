import type { GuestFiles } from './guest.js';
import { namesIn } from './guest-details.js';
import type { PackageManager } from './inspect.js';

export type PackageFormat = 'deb' | 'rpm' | 'pacman' | 'apk' | 'ebuild';

/** What a guest's package database says, as far as that takes one small file or the names in a few folders. */
export interface GuestPackages {
  readonly format: PackageFormat;
  /** How many are installed; undefined for rpm, whose database is read only by rpm, or when it is too large. */
  readonly count: number | undefined;
}

const FORMATS: Readonly<Record<PackageManager, PackageFormat>> = {
  apt: 'deb',
  dnf: 'rpm',
  yum: 'rpm',
  zypper: 'rpm',
  pacman: 'pacman',
  apk: 'apk',
  emerge: 'ebuild',
};

const MAX_BYTES = 32 * 1024 * 1024;

/** The package database of a guest with this package manager. */
export async function countPackages(
  files: GuestFiles,
  manager: PackageManager | undefined,
): Promise<GuestPackages | undefined> {
  if (!manager) return undefined;
  const format = FORMATS[manager];
  return { format, count: await counters[format](files) };
}

const counters: Readonly<Record<PackageFormat, (files: GuestFiles) => Promise<number | undefined>>> = {
  deb: (files) => countLines(files, '/var/lib/dpkg/status', /^Status: \S+ \S+ installed$/gm),
  rpm: () => Promise.resolve(undefined),
  apk: (files) => countLines(files, '/lib/apk/db/installed', /^P:/gm),
  async pacman(files) {
    const names = await namesIn(files, '/var/lib/pacman/local');
    return names.filter((name) => name !== 'ALPM_DB_VERSION').length;
  },
  async ebuild(files) {
    let count = 0;
    for (const category of await namesIn(files, '/var/db/pkg')) {
      count += (await namesIn(files, `/var/db/pkg/${category}`)).filter(
        (name) => !name.startsWith('-'),
      ).length;
    }
    return count;
  },
};

async function countLines(files: GuestFiles, path: string, line: RegExp): Promise<number | undefined> {
  if (!(await files.exists(path))) return undefined;
  const { type, size } = await files.stat(path);
  if (type !== 'file' || size > MAX_BYTES) return undefined;
  return (await files.readFile(path)).toString('latin1').match(line)?.length ?? 0;
}
