import { lvmChecksum } from '../../probe/lvm-checksum.js';

const SECTOR = 512;
const KIB4 = 4096;
const MIB = 1024 ** 2;
/** LVM's own choice for small disks. */
const EXTENT = 4 * MIB;

/** A volume group of one physical volume with one linear logical volume that fills it. */
export interface VolumeGroupSpec {
  readonly group: string;
  readonly volume: string;
  /** Length of the physical volume in bytes. */
  readonly length: number;
  /** Ids as LVM writes them, with dashes. */
  readonly ids: { readonly group: string; readonly physical: string; readonly logical: string };
  /** When it was made, in seconds since 1970. */
  readonly epoch: number;
}

/** Where the logical volume is in a physical volume of `length` bytes: it is in one piece. */
export function logicalVolumePlace(length: number): { offset: number; length: number } {
  return { offset: MIB, length: extentsOf(length) * EXTENT };
}

function extentsOf(length: number): number {
  return Math.floor((length - MIB) / EXTENT);
}

/**
 * The first MiB of the physical volume: label, header and one metadata area that fills the rest (lvm2, lib/format_text/layout.h and
 * lib/label/label.h). The extents follow.
 */
export function physicalVolumeStart(spec: VolumeGroupSpec): Buffer {
  const start = Buffer.alloc(MIB);
  label(spec).copy(start, SECTOR);
  metadataArea(metadataText(spec)).copy(start, KIB4);
  return start;
}

/** In the second sector: what identifies the physical volume, its data area, its metadata area, and that it is in a group. */
function label({ ids, length }: VolumeGroupSpec): Buffer {
  const sector = Buffer.alloc(SECTOR);
  sector.write('LABELONE', 0);
  sector.writeBigUInt64LE(1n, 8);
  sector.writeUInt32LE(32, 20);
  sector.write('LVM2 001', 24);
  sector.write(ids.physical.replaceAll('-', ''), 32);
  sector.writeBigUInt64LE(BigInt(length), 64);
  // Lists of offset and length, each with an empty entry at its end: data (to the end), then metadata.
  sector.writeBigUInt64LE(BigInt(MIB), 72);
  sector.writeBigUInt64LE(BigInt(KIB4), 104);
  sector.writeBigUInt64LE(BigInt(MIB - KIB4), 112);
  // The extension: version 2, and the flag of a physical volume that is in use.
  sector.writeUInt32LE(2, 136);
  sector.writeUInt32LE(1, 140);
  sector.writeUInt32LE(lvmChecksum(sector.subarray(20)), 16);
  return sector;
}

function metadataArea(text: Buffer): Buffer {
  const header = Buffer.alloc(SECTOR);
  header.write(' LVM2 x[5A%r0N*>', 4, 'latin1');
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(KIB4), 24);
  header.writeBigUInt64LE(BigInt(MIB - KIB4), 32);
  // The only text so far: right behind the header.
  header.writeBigUInt64LE(BigInt(SECTOR), 40);
  header.writeBigUInt64LE(BigInt(text.length), 48);
  header.writeUInt32LE(lvmChecksum(text), 56);
  header.writeUInt32LE(lvmChecksum(header.subarray(4)), 0);
  return Buffer.concat([header, text]);
}

function metadataText(spec: VolumeGroupSpec): Buffer {
  const { group, volume, length, ids, epoch } = spec;
  const extents = extentsOf(length);
  const made = [`creation_time = ${epoch}`, 'creation_host = "tsbuilder"'];
  const lines = [
    ...section(group, [
      ...[`id = "${ids.group}"`, 'seqno = 1', 'format = "lvm2"'],
      ...['status = ["RESIZEABLE", "READ", "WRITE"]', 'flags = []'],
      ...[`extent_size = ${EXTENT / SECTOR}`, 'max_lv = 0', 'max_pv = 0', 'metadata_copies = 0'],
      ...section('physical_volumes', [
        ...section('pv0', [
          ...[`id = "${ids.physical}"`, 'status = ["ALLOCATABLE"]', 'flags = []'],
          ...[`dev_size = ${length / SECTOR}`, `pe_start = ${MIB / SECTOR}`, `pe_count = ${extents}`],
        ]),
      ]),
      ...section('logical_volumes', [
        ...section(volume, [
          ...[`id = "${ids.logical}"`, 'status = ["READ", "WRITE", "VISIBLE"]', 'flags = []'],
          ...made,
          'segment_count = 1',
          ...section('segment1', [
            ...['start_extent = 0', `extent_count = ${extents}`, 'type = "striped"'],
            ...['stripe_count = 1', 'stripes = ["pv0", 0]'],
          ]),
        ]),
      ]),
    ]),
    'contents = "Text Format Volume Group"',
    'version = 1',
    'description = ""',
    ...made,
  ];
  return Buffer.from(`${lines.join('\n')}\n\0`);
}

function section(name: string, lines: readonly string[]): string[] {
  return [`${name} {`, ...lines, '}'];
}
