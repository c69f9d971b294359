import { closeSync, openSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { GuestPartition } from '../../src/guest/volume.js';
import { MIB, type TreeSpec, makeTree, run, scratchPath } from './guest-image.js';

/** A filesystem to make: of ext4, with this content and identity. */
export interface FilesystemSpec {
  readonly tree: TreeSpec;
  readonly uuid?: string;
  readonly label?: string;
  /** Default 8. */
  readonly mib?: number;
  /** More arguments for mke2fs. */
  readonly args?: readonly string[];
}

/** What a partition of a disk holds: a filesystem, an LVM physical volume, what a program makes of it, or nothing. */
export type PartitionSpec =
  | FilesystemSpec
  | { readonly lvm: readonly (FilesystemSpec & { readonly name: string; readonly pieces?: number })[] }
  | { readonly mkfs: readonly [string, ...string[]]; readonly mib: number }
  | { readonly mib: number };

export interface MadeDisk {
  readonly path: string;
  readonly partitions: readonly GuestPartition[];
}

/** The volume group of every physical volume made here, with a dash that device-mapper doubles. */
export const GROUP = 'vg-0';

const EXTENT = 1 * MIB;

/** Makes a raw disk with these partitions, one behind the other from 1 MiB on; its table is not written. */
export function makeMountedDisk(...specs: readonly PartitionSpec[]): MadeDisk {
  const path = scratchPath('disk.img');
  const partitions: GuestPartition[] = [];
  writeFileSync(path, '');
  let offset = MIB;
  for (const [index, spec] of specs.entries()) {
    const length = sizeOf(spec) * MIB;
    truncateSync(path, offset + length);
    fill(path, spec, offset);
    partitions.push({ number: index + 1, offset, length });
    offset += length;
  }
  return { path, partitions };
}

function sizeOf(spec: PartitionSpec): number {
  if (!('lvm' in spec)) return spec.mib ?? 8;
  return 1 + spec.lvm.reduce((sum, volume) => sum + (volume.mib ?? 8), 0);
}

function fill(path: string, spec: PartitionSpec, offset: number): void {
  if ('lvm' in spec) makePhysicalVolume(path, spec, offset);
  else if ('tree' in spec) makeExt(path, spec, offset);
  else if ('mkfs' in spec) {
    const made = scratchPath('filesystem');
    writeFileSync(made, '');
    truncateSync(made, spec.mib * MIB);
    const [program, ...args] = spec.mkfs;
    run(program, [...args, made]);
    run('dd', [
      `if=${made}`,
      `of=${path}`,
      'bs=1M',
      `seek=${offset / MIB}`,
      'conv=notrunc,sparse',
      'status=none',
    ]);
  }
}

function makeExt(path: string, spec: FilesystemSpec, offset: number): void {
  const { tree, uuid, label, mib = 8, args = [] } = spec;
  run('mke2fs', [
    ...['-q', '-F', '-t', 'ext4', ...args],
    ...(uuid === undefined ? [] : ['-U', uuid]),
    ...(label === undefined ? [] : ['-L', label]),
    ...['-E', `offset=${offset},root_owner=0:0`, '-d', makeTree(tree), path, `${mib}M`],
  ]);
}

/** LVM2's own form (lvm2, lib/format_text/layout.h): a label, a metadata area in the first MiB, extents of 1 MiB behind it. */
function makePhysicalVolume(
  path: string,
  { lvm }: Extract<PartitionSpec, { lvm: unknown }>,
  offset: number,
): void {
  let extent = 0;
  const volumes = lvm.map((volume) => {
    const { name, mib = 8, pieces = 1 } = volume;
    makeExt(path, volume, offset + MIB + extent * EXTENT);
    const text = volumeText({ name, first: extent, count: mib, pieces });
    extent += mib;
    return text;
  });
  const text = `${GROUP} {
id = "gggggg-gggg-gggg-gggg-gggg-gggg-gggggg"
seqno = 1
format = "lvm2"
status = ["RESIZEABLE", "READ", "WRITE"]
extent_size = ${EXTENT / 512}
max_lv = 0
max_pv = 0
metadata_copies = 0
physical_volumes {
pv0 {
id = "pppppp-pppp-pppp-pppp-pppp-pppp-pppppp"
status = ["ALLOCATABLE"]
dev_size = ${(MIB + extent * EXTENT) / 512}
pe_start = ${MIB / 512}
pe_count = ${extent}
}
}
logical_volumes {
${volumes.join('\n')}
}
}
contents = "Text Format Volume Group"
version = 1
`;
  writeLabel(path, offset, { text, size: MIB + extent * EXTENT });
}

function volumeText(volume: { name: string; first: number; count: number; pieces: number }): string {
  const { name, first, count, pieces } = volume;
  const length = Math.floor(count / pieces);
  const segments = Array.from({ length: pieces }, (_, index) => {
    // With several pieces, their order on the disk is the reverse.
    const at = first + (pieces - 1 - index) * length;
    return `segment${index + 1} {
start_extent = ${index * length}
extent_count = ${length}
type = "striped"
stripe_count = 1
stripes = ["pv0", ${at}]
}`;
  });
  return `${name} {
id = "${name.padEnd(6, 'l').slice(0, 6)}-llll-llll-llll-llll-llll-llllll"
status = ["READ", "WRITE", "VISIBLE"]
segment_count = ${pieces}
${segments.join('\n')}
}`;
}

function writeLabel(path: string, offset: number, metadata: { text: string; size: number }): void {
  const head = Buffer.alloc(MIB);
  head.write('LABELONE', 512);
  head.writeBigUInt64LE(1n, 520);
  head.writeUInt32LE(32, 532);
  head.write('LVM2 001', 536);
  head.write('p'.repeat(32), 544);
  head.writeBigUInt64LE(BigInt(metadata.size), 576);
  head.writeBigUInt64LE(BigInt(MIB), 584);
  head.writeBigUInt64LE(4096n, 616);
  head.writeBigUInt64LE(BigInt(MIB - 4096), 624);
  head.writeUInt32LE(lvmCrc(head.subarray(532, 1024)), 528);
  const text = Buffer.from(`${metadata.text}\0`);
  text.copy(head, 4096 + 512);
  head.write(' LVM2 x[5A%r0N*>', 4100, 'latin1');
  head.writeUInt32LE(1, 4116);
  head.writeBigUInt64LE(4096n, 4120);
  head.writeBigUInt64LE(BigInt(MIB - 4096), 4128);
  head.writeBigUInt64LE(512n, 4136);
  head.writeBigUInt64LE(BigInt(text.length), 4144);
  head.writeUInt32LE(lvmCrc(text), 4152);
  head.writeUInt32LE(lvmCrc(head.subarray(4100, 4608)), 4096);
  const file = openSync(path, 'r+');
  writeSync(file, head, 0, head.length, offset);
  closeSync(file);
}

function lvmCrc(data: Buffer): number {
  return ~crc32(data, ~0xf597a6cf >>> 0) >>> 0;
}
