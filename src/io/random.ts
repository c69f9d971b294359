import { createHash, randomBytes } from 'node:crypto';

/**
 * Where random bytes for a guest come from. Every use names its stream by a label, so that what one use gets does not
 * depend on which others ran before it.
 */
export interface RandomSource {
  /** Whether all bytes follow from a seed, so that the same is made again. */
  readonly seeded: boolean;
  /** `length` bytes of the stream `label`, always from its beginning when the source is seeded. */
  bytes(length: number, label: string): Buffer;
  /** A random UUID (version 4, RFC 9562 section 5.4) of the stream `label`, lower case with dashes. */
  uuid(label: string): string;
}

/** The operating system's generator: different bytes at every call, labels are ignored. */
export function systemRandom(): RandomSource {
  return randomSource(false, (length) => randomBytes(length));
}

/**
 * A source whose every byte follows from `seed` and the label: the same disk is made twice. Each stream is the output
 * of SHAKE256 (FIPS 202) over the length-prefixed seed and label, so streams are independent, and nobody who does not
 * know the seed can tell them from random.
 */
export function seededRandom(seed: string): RandomSource {
  return randomSource(true, (length, label) => {
    if (length === 0) return Buffer.alloc(0);
    const hash = createHash('shake256', { outputLength: length });
    for (const part of ['tsbuilder random stream 1', seed, label]) {
      const bytes = Buffer.from(part);
      const size = Buffer.alloc(8);
      size.writeBigUInt64BE(BigInt(bytes.length));
      hash.update(size).update(bytes);
    }
    return hash.digest();
  });
}

function randomSource(seeded: boolean, bytes: (length: number, label: string) => Buffer): RandomSource {
  return { seeded, bytes, uuid: (label) => formatUuid(bytes(16, label)) };
}

/** Sixteen bytes with the version and variant bits of a random UUID, as text. */
function formatUuid(bytes: Buffer): string {
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
