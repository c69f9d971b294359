/** Readers that are followed at once. A connection that copies a disk is one. */
const READERS = 16;
/** How far a read may lie from where its reader is thought to be: clients send several requests at once, in any order. */
const NEAR = 2 * 1024 * 1024;
/** Bytes read in a row that make a reader sequential. */
const ENOUGH = 512 * 1024;

interface Reader {
  /** End of the furthest read. */
  end: number;
  /** Bytes it has moved on. */
  moved: number;
}

/** Finds out who reads on and on. */
export class ReadAhead {
  /** The most recently seen last. */
  readonly #readers: Reader[] = [];

  /** Takes note of a read; returns whether it continues a sequential one. */
  note(offset: number, length: number): boolean {
    const end = offset + length;
    const at = this.#readers.findIndex((reader) => Math.abs(offset - reader.end) <= NEAR);
    const [reader = { end: offset, moved: 0 }] = at < 0 ? [] : this.#readers.splice(at, 1);
    // Reads here and there near each other move on by chance only: a step must not be larger than what was read.
    const step = end - reader.end;
    if (step > 2 * length) reader.moved = 0;
    else reader.moved += Math.max(0, step);
    reader.end = Math.max(end, reader.end);
    this.#readers.push(reader);
    if (this.#readers.length > READERS) this.#readers.shift();
    return reader.moved >= ENOUGH;
  }
}
