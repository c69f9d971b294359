import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { foreignDiskFormat, foreignFormat } from '../../src/image/foreign-format.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

const folder = await scratchFolder();
afterAll(() => folder[Symbol.asyncDispose]());

function headOf(path: string): Buffer {
  const file = openSync(path, 'r');
  const head = Buffer.alloc(512);
  const length = readSync(file, head);
  closeSync(file);
  return head.subarray(0, length);
}

describe('foreignFormat', () => {
  it.each(['vmdk', 'vhdx', 'vpc', 'vdi'])('knows what qemu-img makes as %s', (format) => {
    const path = join(folder.path, `disk.${format}`);
    execFileSync('qemu-img', ['create', '-q', '-f', format, path, '8M']);
    expect(foreignDiskFormat(headOf(path))).toBe(format);
    expect(foreignFormat(headOf(path))).toEqual({ format, remedy: 'qemu-img convert -O qcow2' });
  });

  it.each([
    ['bzip2', ['bzip2', '-k']],
    ['lzma', ['xz', '-k', '--format=lzma', '--suffix=.packed']],
    ['lz4', ['lz4', '-q', '-k']],
  ] as const)('knows what packs as %s', (format, [program, ...args]) => {
    const path = join(folder.path, `${format}.img`);
    writeFileSync(path, 'content of a disk '.repeat(500));
    const packed = execFileSync(program, [...args, '-c', path]);
    expect(foreignFormat(packed.subarray(0, 512))?.format).toBe(format);
    expect(foreignDiskFormat(packed)).toBeUndefined();
  });

  it('takes nothing else for one: too short, zeros, a boot sector', () => {
    const boot = Buffer.alloc(512);
    boot.set([0xeb, 0x63, 0x90]);
    boot.set([0x55, 0xaa], 510);
    for (const head of [Buffer.alloc(0), Buffer.from('BZh9'), Buffer.alloc(512), boot])
      expect(foreignFormat(head)).toBeUndefined();
  });
});
