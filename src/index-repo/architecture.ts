import { endianness } from 'node:os';

/** Other spellings of one architecture, by the spelling that templates use. */
const SPELLINGS: Readonly<Record<string, readonly string[]>> = {
  x86_64: ['amd64', 'x64', 'x86-64'],
  i686: ['i386', 'i486', 'i586', 'x86', 'ia32'],
  aarch64: ['arm64', 'armv8'],
  armv7l: ['armhf', 'armv7', 'armv7hl', 'arm'],
  ppc64: ['powerpc64'],
  ppc64le: ['ppc64el', 'powerpc64le'],
  ppc: ['powerpc'],
  s390x: [],
  riscv64: ['riscv64gc'],
};

const CANONICAL = new Map(
  Object.entries(SPELLINGS).flatMap(([name, others]) => others.map((other) => [other, name] as const)),
);

/** One spelling for each architecture: `amd64` and `x64` become `x86_64`, `arm64` becomes `aarch64`, and so on. */
export function normaliseArchitecture(arch: string): string {
  const lower = arch.toLowerCase();
  return CANONICAL.get(lower) ?? lower;
}

/** The architecture of this machine, in the normalised spelling. */
export function hostArchitecture(): string {
  if (process.arch === 'ppc64') return endianness() === 'LE' ? 'ppc64le' : 'ppc64';
  return normaliseArchitecture(process.arch);
}
