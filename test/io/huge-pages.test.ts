import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { adviseHugePages, largeMappings } from '../../src/io/huge-pages.js';

const MIB = 1024 * 1024;

it("finds large memory that is nobody else's and no file", () => {
  const maps = [
    '7f0000000000-7f0004000000 rw-p 00000000 00:00 0 ',
    '7f1000000000-7f1004000000 r--p 00000000 00:00 0 ',
    '7f2000000000-7f2004000000 rw-s 00000000 00:01 7 /memfd:x (deleted)',
    '7f3000000000-7f3004000000 rw-p 00000000 00:00 0                          [heap]',
    '7f4000000000-7f4000800000 rw-p 00000000 00:00 0 ',
    'ffff00000000-ffff01000000 rwxp 00000000 00:00 0',
  ];
  expect(largeMappings(`${maps.join('\n')}\n`)).toEqual([
    { start: 0x7f0000000000n, length: 64 * MIB },
    { start: 0xffff00000000n, length: 16 * MIB },
  ]);
});

it('asks for huge pages under it', () => {
  const memory = Buffer.allocUnsafeSlow(64 * MIB);
  const advised = (): number =>
    (readFileSync('/proc/self/smaps', 'latin1').match(/^VmFlags:.* hg/gm) ?? []).length;
  expect(advised()).toBe(0);
  adviseHugePages();
  expect(advised()).toBeGreaterThan(0);
  expect(memory.fill(1).every((byte) => byte === 1)).toBe(true);
});
