import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom, systemRandom } from '../../src/io/random.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('seededRandom', () => {
  it('gives the same bytes for the same seed and label, in any order', () => {
    const first = seededRandom('seed');
    const second = seededRandom('seed');
    const a = first.bytes(64, 'a');
    first.bytes(10, 'b');
    second.bytes(1000, 'c');
    expect(second.bytes(64, 'a')).toEqual(a);
    expect(first.uuid('id')).toBe(second.uuid('id'));
  });

  it('never changes: builds must stay the same', () => {
    const digest = createHash('sha256').update(seededRandom('seed').bytes(4096, 'label')).digest('hex');
    expect(digest).toBe('2dc67af5cc4958f1ac1d03ebca15a8353bb43907a1294bd8b95eccea986469ce');
    expect(seededRandom('').uuid('')).toBe('8f0435b0-0cb2-49a4-af07-0bbc010526d7');
  });

  it('gives other bytes for another seed, another label, or another border between them', () => {
    const distinct = fc.uniqueArray(fc.tuple(fc.string(), fc.string()), {
      minLength: 2,
      maxLength: 20,
      selector: (pair) => JSON.stringify(pair),
    });
    fc.assert(
      fc.property(distinct, (pairs) => {
        const outputs = pairs.map(([seed, label]) => seededRandom(seed).bytes(32, label).toString('hex'));
        expect(new Set(outputs).size).toBe(pairs.length);
      }),
    );
    expect(seededRandom('ab').bytes(16, 'c')).not.toEqual(seededRandom('a').bytes(16, 'bc'));
  });

  it('is long enough for anything and starts with the shorter output', () => {
    const long = seededRandom('s').bytes(1_000_000, 'x');
    expect(long).toHaveLength(1_000_000);
    expect(long.subarray(0, 100)).toEqual(seededRandom('s').bytes(100, 'x'));
    expect(seededRandom('s').bytes(0, 'x')).toHaveLength(0);
    const ones = long.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
    expect(Math.abs(ones / 8_000_000 - 0.5)).toBeLessThan(0.002);
  });
});

describe('uuid', () => {
  it('is a version 4 UUID', () => {
    expect(systemRandom().uuid('x')).toMatch(UUID);
    fc.assert(fc.property(fc.string(), (label) => UUID.test(seededRandom('s').uuid(label))));
  });
});

describe('systemRandom', () => {
  it('gives new bytes each time', () => {
    const random = systemRandom();
    expect(random.bytes(16, 'same')).not.toEqual(random.bytes(16, 'same'));
    expect(random.bytes(512, 'x')).toHaveLength(512);
  });
});
