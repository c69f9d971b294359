import { Writable } from 'node:stream';
import type { WriteStream } from 'node:tty';

/** A stream that says it is a terminal of 80 columns with colours, and keeps what is written. */
export interface FakeTerminal {
  readonly stream: NodeJS.WriteStream;
  /** All that has been written, with its control sequences. */
  raw(): string;
}

/** Makes one; `columns` 0 is what some containers report. */
export function fakeTerminal(columns = 80): FakeTerminal {
  const chunks: string[] = [];
  const writable = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk.toString());
      done();
    },
  });
  const screen = {
    isTTY: true,
    columns,
    rows: 24,
    getColorDepth: () => 8,
    hasColors: () => true,
    cursorTo: (x: number) => writable.write(`\x1b[${x + 1}G`),
    clearLine: () => writable.write('\x1b[2K'),
    moveCursor: (_dx: number, dy: number) => writable.write(`\x1b[${Math.abs(dy)}${dy < 0 ? 'A' : 'B'}`),
  };
  return {
    stream: Object.assign(writable, screen) as unknown as WriteStream & { fd: 1 },
    raw: () => chunks.join(''),
  };
}
