import { TsbuilderError } from '../../errors.js';
import type { ByteSource } from '../../io/byte-source.js';
import { asBuffer } from '../../probe/bytes.js';

/** The record of the Master File Table that describes the volume. */
const VOLUME_RECORD = 3;
const VOLUME_INFORMATION = 0x70;
const END = 0xffffffff;
/** Flags of $VOLUME_INFORMATION: the volume must be checked; a check is under way. */
const UNSAFE = 0x0001 | 0x4000;
/** Each stretch of a record this long ends in two bytes that are kept elsewhere. */
const STRIDE = 512;

/**
 * Whether an NTFS volume is marked as in need of a check (the layout is that of Linux, fs/ntfs3/ntfs.h).
 *
 * @throws TSB_FILESYSTEM when its boot sector or its volume record makes no sense
 */
export async function isNtfsDirty(source: ByteSource, signal?: AbortSignal): Promise<boolean> {
  const boot = asBuffer(await source.read(0, 512, signal));
  const clusterSize = boot.readUInt16LE(11) * boot.readUInt8(13);
  const perRecord = boot.readInt8(64);
  const recordSize = perRecord < 0 ? 2 ** -perRecord : perRecord * clusterSize;
  const table = boot.readBigUInt64LE(48) * BigInt(clusterSize);
  const at = table + BigInt(VOLUME_RECORD * recordSize);
  const sound = recordSize >= 1024 && recordSize <= 4096 && at + BigInt(recordSize) <= BigInt(source.size);
  if (!sound) throw ntfsError(source.name, 'its boot sector makes no sense');
  const record = asBuffer(await source.read(Number(at), recordSize, signal));
  const flags = volumeFlags(record);
  if (flags === undefined) throw ntfsError(source.name, 'it has no volume record');
  return (flags & UNSAFE) !== 0;
}

/** The flags of the volume in its record, which is mended as it is read. */
function volumeFlags(record: Buffer): number | undefined {
  if (record.toString('latin1', 0, 4) !== 'FILE' || !restoreEnds(record)) return undefined;
  for (let at = record.readUInt16LE(20); at + 24 <= record.length;) {
    const type = record.readUInt32LE(at);
    const length = record.readUInt32LE(at + 4);
    if (type === END || length < 24) return undefined;
    if (type === VOLUME_INFORMATION) {
      const value = at + record.readUInt16LE(at + 20);
      return value + 12 <= record.length ? record.readUInt16LE(value + 10) : undefined;
    }
    at += length;
  }
  return undefined;
}

/** Puts back what the update sequence of a record took the place of. @returns false when the record was not written whole */
function restoreEnds(record: Buffer): boolean {
  const [at, count] = [record.readUInt16LE(4), record.readUInt16LE(6)];
  if (count !== record.length / STRIDE + 1 || at + 2 * count > STRIDE - 2) return false;
  const mark = record.readUInt16LE(at);
  for (let index = 1; index < count; index += 1) {
    if (record.readUInt16LE(index * STRIDE - 2) !== mark) return false;
    record.copyWithin(index * STRIDE - 2, at + 2 * index, at + 2 * index + 2);
  }
  return true;
}

function ntfsError(name: string, what: string): TsbuilderError {
  return new TsbuilderError('TSB_FILESYSTEM', `${name}: NTFS: ${what}`, {
    hint: 'Check it with chkdsk in Windows.',
  });
}
