import { crc32 } from 'node:zlib';
import { MIB } from './disk.js';

/** A logical volume: its pieces in its own order, by extents of 1 MiB on the physical volume. */
export interface VolumeSpec {
  readonly name: string;
  readonly type?: 'striped' | 'snapshot' | undefined;
  /** The number of the physical volume that all of it is on. Default: 0. */
  readonly on?: number | undefined;
  readonly pieces: readonly (readonly [first: number, count: number])[];
}

/**
 * The first MiB of physical volume `number` of `extents` extents of 1 MiB, in LVM2's own form (lvm2, lib/format_text/layout.h): a label and one
 * metadata area. The extents follow.
 */
export function physicalVolumeHead(
  volumes: readonly VolumeSpec[],
  {
    extents,
    physicalVolumes = 1,
    number = 0,
  }: { readonly extents: number; readonly physicalVolumes?: number; readonly number?: number },
): Buffer {
  const text = Buffer.from(`${groupText(volumes, { extents, physicalVolumes })}\0`);
  const head = Buffer.alloc(MIB);
  head.write('LABELONE', 512);
  head.writeBigUInt64LE(1n, 520);
  head.writeUInt32LE(32, 532);
  head.write('LVM2 001', 536);
  head.write(String(number).repeat(6).padEnd(32, '0'), 544);
  head.writeBigUInt64LE(BigInt((extents + 1) * MIB), 576);
  head.writeBigUInt64LE(BigInt(MIB), 584);
  head.writeBigUInt64LE(4096n, 616);
  head.writeBigUInt64LE(BigInt(MIB - 4096), 624);
  head.writeUInt32LE(checksum(head.subarray(532, 1024)), 528);
  text.copy(head, 4096 + 512);
  head.write(' LVM2 x[5A%r0N*>', 4100, 'latin1');
  head.writeUInt32LE(1, 4116);
  head.writeBigUInt64LE(4096n, 4120);
  head.writeBigUInt64LE(BigInt(MIB - 4096), 4128);
  head.writeBigUInt64LE(512n, 4136);
  head.writeBigUInt64LE(BigInt(text.length), 4144);
  head.writeUInt32LE(checksum(text), 4152);
  head.writeUInt32LE(checksum(head.subarray(4100, 4608)), 4096);
  return head;
}

function groupText(
  volumes: readonly VolumeSpec[],
  { extents, physicalVolumes }: { extents: number; physicalVolumes: number },
): string {
  const physical = Array.from(
    { length: physicalVolumes },
    (_, index) => `pv${index} {
id = "${String(index).repeat(6)}-0000-0000-0000-0000-0000-000000"
status = ["ALLOCATABLE"]
dev_size = ${((extents + 1) * MIB) / 512}
pe_start = ${MIB / 512}
pe_count = ${extents}
}`,
  );
  return `group {
id = "gggggg-gggg-gggg-gggg-gggg-gggg-gggggg"
seqno = 1
format = "lvm2"
status = ["RESIZEABLE", "READ", "WRITE"]
extent_size = ${MIB / 512}
max_lv = 0
max_pv = 0
physical_volumes {
${physical.join('\n')}
}
logical_volumes {
${volumes.map(volumeText).join('\n')}
}
}
contents = "Text Format Volume Group"
version = 1
`;
}

function volumeText({ name, type = 'striped', on = 0, pieces }: VolumeSpec): string {
  let start = 0;
  const segments = pieces.map(([first, count], index) => {
    const what = `stripe_count = 1\nstripes = ["pv${on}", ${first}]`;
    const text = `segment${index + 1} {
start_extent = ${start}
extent_count = ${count}
type = "${type}"
${type === 'striped' ? what : 'chunk_size = 8\norigin = "root"\ncow_store = "store"'}
}`;
    start += count;
    return text;
  });
  return `${name} {
id = "${name.padEnd(6, 'l').slice(0, 6)}-llll-llll-llll-llll-llll-llllll"
status = ["READ", "WRITE", "VISIBLE"]
segment_count = ${pieces.length}
${segments.join('\n')}
}`;
}

/** LVM starts its CRC-32 from a value of its own and does not invert the result. */
function checksum(data: Buffer): number {
  return ~crc32(data, ~0xf597a6cf >>> 0) >>> 0;
}
