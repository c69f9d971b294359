import { isWritable } from '../io/disk-source.js';
import type { NbdExport, NbdServerOptions } from './nbd-options.js';
import { BLOCK_SIZE, FLAG, INFO } from './protocol.js';

/** The export that a client means by `name`; '' is the default one. Undefined when there is none of that name. */
export function findExport(options: NbdServerOptions, name: string): NbdExport | undefined {
  const wanted = name === '' ? options.defaultExport : name;
  return options.exports.find((candidate) => candidate.name === wanted);
}

/**
 * What an export can do, as transmission flags. Several connections to one export are always fine: they share its disk, and so its flush.
 */
export function transmissionFlags(of: NbdExport, structured: boolean): number {
  const writable = isWritable(of.disk);
  let flags = FLAG.hasFlags | FLAG.canMultiConn;
  if (writable) flags |= FLAG.sendFlush | FLAG.sendFua | FLAG.sendTrim | FLAG.sendWriteZeroes;
  else flags |= FLAG.readOnly;
  if (writable && of.fastZero === true) flags |= FLAG.sendFastZero;
  if (structured) flags |= FLAG.sendDf;
  if (of.disk.prefetch) flags |= FLAG.sendCache;
  return flags;
}

/** Size and flags of an export, as `NBD_OPT_EXPORT_NAME` answers and `NBD_INFO_EXPORT` carries them. */
export function sizeAndFlags(size: number, flags: number): Buffer<ArrayBuffer> {
  const frame = Buffer.allocUnsafe(10);
  frame.writeBigUInt64BE(BigInt(size), 0);
  frame.writeUInt16BE(flags, 8);
  return frame;
}

/** The data of the information replies about an export: what every client gets, and of the rest what is in `wanted`. */
export function exportInformation(of: NbdExport, flags: number, wanted: ReadonlySet<number>): Buffer[] {
  const replies = [Buffer.concat([infoType(INFO.export), sizeAndFlags(of.disk.size, flags)])];
  if (wanted.has(INFO.name)) replies.push(Buffer.concat([infoType(INFO.name), Buffer.from(of.name)]));
  if (wanted.has(INFO.description) && of.description !== undefined) {
    replies.push(Buffer.concat([infoType(INFO.description), Buffer.from(of.description)]));
  }
  if (wanted.has(INFO.blockSize)) replies.push(blockSizes());
  return replies;
}

function blockSizes(): Buffer<ArrayBuffer> {
  const sizes = Buffer.allocUnsafe(14);
  sizes.writeUInt16BE(INFO.blockSize, 0);
  sizes.writeUInt32BE(BLOCK_SIZE.minimum, 2);
  sizes.writeUInt32BE(BLOCK_SIZE.preferred, 6);
  sizes.writeUInt32BE(BLOCK_SIZE.maximum, 10);
  return sizes;
}

function infoType(type: number): Buffer<ArrayBuffer> {
  const field = Buffer.allocUnsafe(2);
  field.writeUInt16BE(type);
  return field;
}
