import type { Distro } from '../../guest/distro.js';
import type { CryptMethod } from '../../io/crypt.js';

/** From which release on a distribution's own libcrypt understands a method. */
interface Support {
  readonly yescrypt?: number;
  readonly sha512: number;
}

const REDHAT: Support = { yescrypt: 9, sha512: 6 };

/**
 * yescrypt came with libxcrypt 4.3 and SHA-512 with glibc 2.7. What stands here is the first release that has it, not the
 * first that uses it for its own passwords.
 */
const SUPPORT: Readonly<Record<string, Support>> = {
  debian: { yescrypt: 11, sha512: 5 },
  raspbian: { yescrypt: 11, sha512: 7 },
  ubuntu: { yescrypt: 20, sha512: 8 },
  fedora: { yescrypt: 30, sha512: 8 },
  rhel: REDHAT,
  centos: REDHAT,
  almalinux: REDHAT,
  rocky: REDHAT,
  ol: REDHAT,
  scientific: REDHAT,
  amzn: { yescrypt: 2023, sha512: 2 },
  opensuse: { sha512: 11 },
  sles: { sha512: 11 },
};

/**
 * How a guest's passwords are hashed unless the user says how: the strongest method that its release is known to understand. A
 * distribution that is not in the table, or that does not say its release, gets sha512, which every libc knows since 2007.
 */
export function defaultPasswordMethod(distro: Distro | undefined): CryptMethod {
  const id = distro?.id ?? '';
  const support = Object.hasOwn(SUPPORT, id) ? SUPPORT[id] : undefined;
  const release = Number.parseFloat(distro?.version ?? '');
  if (!support || Number.isNaN(release)) return 'sha512';
  if (support.yescrypt !== undefined && release >= support.yescrypt) return 'yescrypt';
  return release >= support.sha512 ? 'sha512' : 'md5';
}
