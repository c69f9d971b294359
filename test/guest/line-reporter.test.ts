import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lineReporter } from '../../src/guest/line-reporter.js';

/** The lines that are reported of output of which `chunks` came and `tail` is the end. */
function linesOf(chunks: readonly Uint8Array[], tail: Buffer, skipped: number): string[] {
  const lines: string[] = [];
  const reporter = lineReporter((line) => lines.push(line));
  for (const chunk of chunks) reporter.take(chunk);
  reporter.finish(tail, skipped);
  return lines;
}

describe('a line reporter', () => {
  it('reports each line once, however much of the output has come and however it was cut', () => {
    const output = fc.array(fc.constantFrom('a', 'é', '日', '\n', ' '), { maxLength: 60 });
    fc.assert(
      fc.property(output, fc.nat(), fc.nat(), fc.nat(), (letters, cut, come, keep) => {
        const whole = Buffer.from(letters.join(''));
        const received = whole.subarray(0, come % (whole.length + 1));
        const at = cut % (received.length + 1);
        // The end that is read reaches back to what has come, or further.
        const skipped = keep % (received.length + 1);
        const lines = linesOf(
          [received.subarray(0, at), received.subarray(at)],
          whole.subarray(skipped),
          skipped,
        );
        const expected = whole.toString().split('\n');
        if (expected.at(-1) === '') expected.pop();
        expect(lines).toEqual(expected);
      }),
    );
  });

  it('does not join what some is missing between', () => {
    expect(linesOf([Buffer.from('one\ntw')], Buffer.from('end\nlast\n'), 100)).toEqual([
      'one',
      'tw',
      'end',
      'last',
    ]);
  });

  it('shows of a line what was last on the screen', () => {
    expect(linesOf([Buffer.from(' 1%\r 50%\r100%\r\nnext')], Buffer.from(''), 19)).toEqual(['100%', 'next']);
  });

  it('reports a line without end in pieces', () => {
    const chunk = Buffer.alloc(40_000, 'x');
    const lines = linesOf([chunk, chunk, chunk], Buffer.from(''), 120_000);
    expect(lines.map(({ length }) => length)).toEqual([80_000, 40_000]);
  });
});
