/** Longest encoding of a number in an xz file, in bytes (xz file format 1.2.1, section 1.2). */
const VLI_MAX_BYTES = 9;

/** Why bytes are no valid variable-length integer. */
export type VliFault = 'cut' | 'too-long' | 'not-minimal' | 'too-large';

/** A variable-length integer that breaks the rules. Callers say where it was. */
export class VliError extends Error {
  override readonly name = 'VliError';
  constructor(readonly fault: VliFault) {
    super(FAULTS[fault]);
  }
}

const FAULTS: Record<VliFault, string> = {
  cut: 'a number runs past the end of its field',
  'too-long': `a number takes more than ${VLI_MAX_BYTES} bytes`,
  'not-minimal': 'a number has a needless last byte',
  'too-large': `a number is above ${Number.MAX_SAFE_INTEGER}`,
};

/** Reads variable-length integers (xz file format, section 1.2) one after another from `data`. */
export class VliReader {
  constructor(
    private readonly data: Uint8Array,
    /** Index in `data` of the next byte. */
    public position: number,
    private readonly end: number = data.length,
  ) {}

  /**
   * The next number.
   *
   * @throws VliError when it is cut off, not minimal, longer than 9 bytes, or beyond what a JavaScript number holds
   */
  next(): number {
    let value = 0;
    let scale = 1;
    for (let count = 1; count <= VLI_MAX_BYTES; count += 1) {
      if (this.position >= this.end) throw new VliError('cut');
      const byte = this.data[this.position++] ?? 0;
      value += (byte & 0x7f) * scale;
      if ((byte & 0x80) === 0) return finish(value, byte, count);
      scale *= 128;
    }
    throw new VliError('too-long');
  }
}

function finish(value: number, lastByte: number, count: number): number {
  if (lastByte === 0 && count > 1) throw new VliError('not-minimal');
  if (!Number.isSafeInteger(value)) throw new VliError('too-large');
  return value;
}

/** `value` as the bytes of a variable-length integer. Throws RangeError unless it is a safe non-negative integer. */
export function encodeVli(value: number): number[] {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is no xz number`);
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 128) + 0x80);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return bytes;
}
