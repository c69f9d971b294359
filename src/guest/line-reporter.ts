/** Longer lines are reported in pieces, so that memory is bounded. */
const MAX_LINE = 64 * 1024;

const NEWLINE = 0x0a;

/** Cuts output that comes bit by bit into lines. */
export interface LineReporter {
  /** The next bytes. */
  readonly take: (chunk: Uint8Array) => void;
  /**
   * Ends the output, of which some may never have come: reports what follows the bytes that were taken.
   *
   * @param tail the last bytes of all output
   * @param skipped how many there are before those
   */
  readonly finish: (tail: Buffer, skipped: number) => void;
}

/** Reports each line as it was last on the screen: what a program has overwritten in it, as the first of three percentages, is not shown. */
export function lineReporter(onLine: (line: string) => void): LineReporter {
  let partial: Buffer = Buffer.alloc(0);
  let taken = 0;
  const report = (line: Buffer): void =>
    onLine(line.toString('utf8').replace(/\r$/, '').replace(/^.*\r/s, ''));
  const take = (chunk: Uint8Array): void => {
    taken += chunk.length;
    let rest = Buffer.concat([partial, chunk]);
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      report(rest.subarray(0, end));
      rest = rest.subarray(end + 1);
    }
    if (rest.length >= MAX_LINE) {
      report(rest);
      rest = Buffer.alloc(0);
    }
    partial = rest;
  };
  return {
    take,
    finish(tail, skipped) {
      // Where some in the middle are lost, what came last is the head of a line whose end is unknown.
      if (taken < skipped && partial.length > 0) take(Buffer.from('\n'));
      take(tail.subarray(Math.max(0, taken - skipped)));
      if (partial.length > 0) take(Buffer.from('\n'));
    },
  };
}
