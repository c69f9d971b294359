const HEADS = 255;
const SECTORS = 63;
const CYLINDERS = 1024;

/**
 * The 3 bytes of cylinder, head and sector for sector `lba` in the geometry that every BIOS assumes (255 heads, 63
 * sectors), or `saturated` where the cylinder does not fit into 10 bits.
 */
export function chsOf(
  lba: number,
  saturated: readonly [number, number, number] = [0xfe, 0xff, 0xff],
): Buffer {
  const cylinder = Math.floor(lba / (HEADS * SECTORS));
  if (cylinder >= CYLINDERS) return Buffer.from(saturated);
  const head = Math.floor(lba / SECTORS) % HEADS;
  const sector = (lba % SECTORS) + 1;
  return Buffer.from([head, ((cylinder >> 8) << 6) | sector, cylinder & 0xff]);
}

/** Writes start and length, both in sectors, with their CHS, into the 16-byte partition entry at `at`. */
export function writeEntry(sector: Buffer, at: number, entry: MbrSpan): void {
  const { start, sectors, chsStart = start } = entry;
  chsOf(chsStart).copy(sector, at + 1);
  chsOf(chsStart + sectors - 1).copy(sector, at + 5);
  sector.writeUInt32LE(start, at + 8);
  sector.writeUInt32LE(sectors, at + 12);
}

/** What a partition entry says about its place. */
interface MbrSpan {
  /** As stored: relative to the disk, the EBR or the extended partition. */
  readonly start: number;
  readonly sectors: number;
  /** The absolute first sector, where `start` is relative. */
  readonly chsStart?: number | undefined;
}
