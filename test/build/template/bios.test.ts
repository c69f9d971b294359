import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readEmbeddedGrub } from '../../../src/build/disk-ids-grub.js';
import { biosBootSectors } from '../../../src/build/template/grub-bios.js';
import { planMbrSwapLast } from '../../../src/build/template/layout-mbr-swap-last.js';
import { swapHeader } from '../../../src/build/template/swap-header.js';
import { tempFolder } from '../../helpers/disk-tools.js';

const MIB = 1024 ** 2;

function bootImage(): Buffer {
  const boot = Buffer.alloc(512, 0x11);
  boot.write('GRUB', 0x180);
  boot.writeUInt16LE(0xaa55, 510);
  return boot;
}

describe('biosBootSectors', () => {
  it('leaves the partition table, and is GRUB as the reader of boot programs knows it', async () => {
    const core = Buffer.alloc(3 * 512 + 100, 0x22);
    core.fill(0, 496, 512);
    const disk = Buffer.alloc(MIB, 0x33);
    for (const { offset, data } of biosBootSectors(bootImage(), core)) data.copy(disk, offset);
    expect(disk.subarray(440, 512)).toEqual(Buffer.alloc(72, 0x33));
    expect(disk.subarray(512 + 512, 512 + core.length)).toEqual(core.subarray(512));
    // The rest of the last sector is empty, and what follows is untouched.
    expect(disk.subarray(512 + core.length, 5 * 512)).toEqual(Buffer.alloc(512 - 100));
    expect(disk.readUInt8(5 * 512)).toBe(0x33);
    const source = {
      name: 'disk',
      size: disk.length,
      read: (offset: number, length: number) => Promise.resolve(disk.subarray(offset, offset + length)),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    // Its sizes are no program's, but it is found, whole and in one piece.
    expect(await readEmbeddedGrub(source)).toEqual({ kind: 'unknown', why: 'its sizes cannot be' });
  });

  it('refuses what is no boot sector, and a program that does not fit in front of the first partition', () => {
    expect(() => biosBootSectors(Buffer.alloc(512), Buffer.alloc(2048))).toThrow(/boot\.img/);
    expect(() => biosBootSectors(bootImage(), Buffer.alloc(MIB))).toThrow(/core\.img has 1048576 bytes/);
    expect(() => biosBootSectors(bootImage(), Buffer.alloc(100))).toThrow(/core\.img/);
    expect(biosBootSectors(bootImage(), Buffer.alloc(MIB - 512))).toHaveLength(2);
  });
});

describe('planMbrSwapLast', () => {
  it('fills disks of any size with whole MiB, one behind the other', () => {
    fc.assert(
      fc.property(fc.integer({ min: 64 * MIB, max: 2 ** 41 }), (size) => {
        const { root, extended, swap } = planMbrSwapLast(size);
        expect(root.offset).toBe(MIB);
        expect(root.offset + root.length).toBe(extended.offset);
        expect(extended.offset + MIB).toBe(swap.offset);
        expect(swap.offset + swap.length).toBe(extended.offset + extended.length);
        expect(size - (swap.offset + swap.length)).toBeLessThan(MIB);
        for (const { offset, length } of [root, extended, swap]) {
          expect([offset % MIB, length % MIB]).toEqual([0, 0]);
          expect(length).toBeGreaterThan(0);
        }
        expect(swap.length).toBeLessThanOrEqual(1024 * MIB);
      }),
    );
  });
});

describe('swapHeader', () => {
  it('is what mkswap writes', () => {
    using folder = tempFolder();
    const uuid = '01234567-89ab-8def-8123-456789abcdef';
    const path = folder.file('swap');
    writeFileSync(path, Buffer.alloc(8 * MIB));
    execFileSync('mkswap', ['-q', '-U', uuid, '-L', 'swap', path], { stdio: 'ignore' });
    const made = folder.file('made');
    writeFileSync(made, Buffer.concat([swapHeader(8 * MIB, uuid), Buffer.alloc(8 * MIB - 4096)]));
    execFileSync('cmp', [path, made]);
  });
});
