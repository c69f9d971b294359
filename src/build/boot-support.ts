import type { ByteSource } from '../io/byte-source.js';
import type { DescribedDisk } from './describe-disk.js';
import { partitionPurpose } from './partition-types.js';

/** What a disk has for the firmware of a machine to start. Hints: nothing is run. */
export interface BootSupport {
  /** It has an EFI system partition. */
  readonly uefi: boolean;
  /** Its first sector has a program, and the signature without which firmware does not start it. */
  readonly bios: boolean;
  /** Whose program that is, where its bytes tell: `grub`, `syslinux`, `lilo`, `windows`. */
  readonly biosLoader: string | undefined;
}

/** Bytes of a master boot record that can be a program. */
const CODE = 440;

const SECTOR = 512;

/** Words that each boot program has in it. */
const MARKS: readonly (readonly [string, string])[] = [
  ['GRUB', 'grub'],
  ['LILO', 'lilo'],
  ['SYSLINUX', 'syslinux'],
  ['EXTLINUX', 'syslinux'],
  // The boot record of syslinux says only this.
  ['Missing operating system.', 'syslinux'],
  ['Invalid partition table', 'windows'],
];

/** Looks at the first sector and the partitions of a disk. */
export async function readBootSupport(
  disk: ByteSource,
  layout: Pick<DescribedDisk, 'partitions'> & { readonly signal?: AbortSignal | undefined },
): Promise<BootSupport> {
  const { partitions, signal } = layout;
  const uefi = partitions.some(({ type }) => partitionPurpose(type) === 'EFI system');
  const nothing = { uefi, bios: false, biosLoader: undefined };
  if (disk.size < SECTOR) return nothing;
  const sector = Buffer.from(await disk.read(0, SECTOR, signal));
  if (sector.readUInt16BE(SECTOR - 2) !== 0x55aa) return nothing;
  const code = sector.subarray(0, CODE);
  const text = code.toString('latin1');
  const bios = code.some((byte) => byte !== 0);
  return { uefi, bios, biosLoader: MARKS.find(([mark]) => text.includes(mark))?.[1] };
}
