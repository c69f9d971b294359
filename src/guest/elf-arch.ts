/** Machine numbers of the ELF specification (e_machine) and the names that templates use for them. */
const MACHINES: Readonly<Record<number, string>> = {
  3: 'i386',
  8: 'mips',
  20: 'ppc',
  21: 'ppc64',
  22: 's390x',
  40: 'armv7l',
  62: 'x86_64',
  183: 'aarch64',
  243: 'riscv64',
  258: 'loongarch64',
};

/** How many bytes of a program {@link elfArch} looks at. */
export const ELF_HEAD = 20;

/** The architecture that a program is for, from the first bytes of its file; undefined when it is no ELF file. */
export function elfArch(head: Buffer): string | undefined {
  if (head.length < ELF_HEAD || head.toString('latin1', 0, 4) !== '\x7fELF') return undefined;
  const littleEndian = head.readUInt8(5) === 1;
  const machine = littleEndian ? head.readUInt16LE(18) : head.readUInt16BE(18);
  if (machine === 21 && littleEndian) return 'ppc64le';
  return MACHINES[machine];
}
