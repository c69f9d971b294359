import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { elfArch } from '../../src/guest/elf-arch.js';
import { parseFstab } from '../../src/guest/fstab.js';
import { parseAssignments } from '../../src/guest/os-release.js';
import { elf } from '../helpers/guest-trees.js';

describe('parseAssignments', () => {
  it('reads what a shell would read', () => {
    const text = `A=plain\nB="two words"\nC='single $x \\n'\nD="esc \\"q\\" \\$ \\\\ \\\`"\nE=\nF=a\\ b\n# no=comment\n`;
    const shell = execFileSync('sh', ['-c', `${text}\nprintf '%s\\n' "$A" "$B" "$C" "$D" "$E" "$F"`], {
      encoding: 'utf8',
    });
    const values = parseAssignments(text);
    expect(['A', 'B', 'C', 'D', 'E', 'F'].map((key) => values.get(key)).join('\n') + '\n').toBe(shell);
    expect(values.size).toBe(6);
  });

  it('never runs anything and never throws', () => {
    expect(parseAssignments('A=$(id)\nB=`id`\nC="${HOME}"').get('A')).toBe('$(id)');
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => parseAssignments(text) instanceof Map));
    fc.assert(
      fc.property(
        fc.string().filter((text) => !/[\n\r"\\$`]/.test(text)),
        (text) => {
          expect(parseAssignments(`K="${text}"`).get('K')).toBe(text);
        },
      ),
    );
  });
});

describe('parseFstab', () => {
  it('undoes escapes and skips what is no entry', () => {
    const text =
      'LABEL=a\\040b\t/mnt/x\\134y  ext4\n\n#x y z\n  #c\nonly two\n/dev/sda2 none swap sw,pri=1 0 0\n';
    expect(parseFstab(text)).toEqual([
      { device: 'LABEL=a b', mountPoint: '/mnt/x\\y', type: 'ext4', options: ['defaults'] },
      { device: '/dev/sda2', mountPoint: 'none', type: 'swap', options: ['sw', 'pri=1'] },
    ]);
  });

  it('takes any text', () => {
    fc.assert(fc.property(fc.string(), (text) => Array.isArray(parseFstab(text))));
  });
});

describe('elfArch', () => {
  it('knows both byte orders and refuses what is no program', () => {
    expect(elfArch(elf(62))).toBe('x86_64');
    expect(elfArch(elf(21))).toBe('ppc64le');
    const big = elf(0);
    big.writeUInt8(2, 5);
    big.writeUInt16BE(22, 18);
    expect(elfArch(big)).toBe('s390x');
    expect(elfArch(Buffer.from('#!/bin/sh'))).toBeUndefined();
    expect(elfArch(elf(9999))).toBeUndefined();
  });
});
