/** Disk formats that only QEMU reads, by how their files begin, and the names that QEMU has for them. */
const DISKS = [
  { format: 'vmdk', at: 0, bytes: Buffer.from('KDMV') },
  { format: 'vmdk', at: 0, bytes: Buffer.from('# Disk DescriptorFile') },
  { format: 'vhdx', at: 0, bytes: Buffer.from('vhdxfile') },
  { format: 'vpc', at: 0, bytes: Buffer.from('conectix') },
  { format: 'vdi', at: 64, bytes: Buffer.from([0x7f, 0x10, 0xda, 0xbe]) },
] as const;

/** Compressed files and archives that are not read here, by how they begin, and what unpacks them. */
const PACKED = [
  { format: 'bzip2', at: 4, bytes: Buffer.from([0x31, 0x41, 0x59, 0x26, 0x53, 0x59]), unpack: 'bunzip2 -k' },
  // The properties, a dictionary of a power of two and an unknown size: what lzma and xz --format=lzma write.
  { format: 'lzma', at: 0, bytes: Buffer.from([0x5d, 0, 0]), unpack: 'xz --format=lzma -dk' },
  { format: 'lz4', at: 0, bytes: Buffer.from([0x04, 0x22, 0x4d, 0x18]), unpack: 'lz4 -dk' },
  { format: 'zip', at: 0, bytes: Buffer.from([0x50, 0x4b, 0x03, 0x04]), unpack: 'unzip' },
  { format: '7z', at: 0, bytes: Buffer.from([0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c]), unpack: '7zz x' },
] as const;

/** A format that is not read here, and the program with which its content is had. */
export interface ForeignFormat {
  readonly format: string;
  readonly remedy: string;
}

/** QEMU's name for the format of a file that begins with `head`; undefined when it is none of these. */
export function foreignDiskFormat(head: Uint8Array): string | undefined {
  return DISKS.find((signature) => fits(signature, head))?.format;
}

/** What a file is that begins with `head`, if it is a disk or compressed in a format that is known but not read. */
export function foreignFormat(head: Uint8Array): ForeignFormat | undefined {
  const disk = foreignDiskFormat(head);
  if (disk !== undefined) return { format: disk, remedy: 'qemu-img convert -O qcow2' };
  const packed = PACKED.find((signature) => fits(signature, head));
  return packed && { format: packed.format, remedy: packed.unpack };
}

function fits({ at, bytes }: { readonly at: number; readonly bytes: Buffer }, head: Uint8Array): boolean {
  return bytes.equals(head.subarray(at, at + bytes.length));
}
