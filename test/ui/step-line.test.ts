import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type RunningStep, stepLine } from '../../src/ui/step-line.js';

const MIB = 1024 ** 2;
const step = (changes: Partial<RunningStep> = {}): RunningStep => ({
  label: 'Decoding',
  totalBytes: 100 * MIB,
  begin: 0,
  bytes: 20 * MIB,
  ...changes,
});

describe('stepLine', () => {
  it('says neither rate nor time left before they mean something', () => {
    const at = (now: number, bytes = 20 * MIB): string => stepLine([step({ bytes })], { now, columns: 80 });
    expect(at(3, 0)).toBe('Decoding');
    expect(at(500)).toBe('Decoding: 20 MiB of 100 MiB');
    expect(at(1000)).toBe('Decoding: 20 MiB of 100 MiB, 20 MiB/s');
    expect(at(2000)).toBe('Decoding: 20 MiB of 100 MiB, 10 MiB/s, 8 s left');
    expect(at(2000, MIB)).toBe('Decoding: 1 MiB of 100 MiB, 512 KiB/s');
  });

  it('says less of each step where there is less room', () => {
    const steps = [step({ label: 'Downloading debian-12' }), step()];
    const at = (columns: number): string => stepLine(steps, { now: 2000, columns });
    const speed = '10 MiB/s, 8 s left';
    const sizes = `20 MiB of 100 MiB, ${speed}`;
    expect(at(120)).toBe(`Downloading debian-12: ${sizes}   Decoding: ${sizes}`);
    expect(at(85)).toBe(`Downloading debian-12: 20 %, ${speed}   Decoding: 20 %, ${speed}`);
    expect(at(80)).toBe('Downloading debian-12: 20 %, 8 s left   Decoding: 20 %, 8 s left');
    expect(at(50)).toBe('Downloading debian-12: 20 %   Decoding: 20 %');
    expect(at(20)).toBe('Downloading debian…');
    expect(at(1)).toBe('');
  });

  it('never exceeds the columns', () => {
    const some = fc.record({
      label: fc.string({ unit: 'grapheme' }),
      totalBytes: fc.option(fc.maxSafeNat(), { nil: undefined }),
      begin: fc.constant(0),
      bytes: fc.maxSafeNat(),
    });
    fc.assert(
      fc.property(fc.array(some), fc.nat(1e7), fc.nat(200), (steps, now, columns) => {
        expect(Array.from(stepLine(steps, { now, columns })).length).toBeLessThanOrEqual(columns);
      }),
    );
  });
});
