import { describe, expect, it } from 'vitest';
import { crc32c, readInodeTable, stampInode } from '../../../src/build/template/xfs-inode.js';
import { formatPrototype, parseTree } from '../../../src/build/template/xfs-prototype.js';

const FIND = [
  'd 755 0 0 1700000000.5 ',
  '',
  'f 4755 0 7 1600000000.0000000000 b/su',
  '',
  'd 1777 1 2 1 b',
  '',
  'l 777 0 0 2 a',
  'b/su',
  'p 600 0 0 3 b/pipe',
  '',
  '',
].join('\0');

describe('parseTree and formatPrototype', () => {
  it('make a prototype in the order of names', () => {
    const entries = parseTree(FIND);
    expect(entries).toContainEqual({
      ...{ path: 'b/su', type: 'f', mode: 0o4755, uid: 0, gid: 7, mtime: 1_600_000_000, target: '' },
    });
    const lines = [
      ...['-', '0 0', 'd--755 0 0', 'a l--777 0 0 b/su'],
      ...['b d--777 1 2', 'pipe p--600 0 0', 'su -u-755 0 7 b/su', '$', '$', ''],
    ];
    expect(formatPrototype(entries)).toBe(lines.join('\n'));
    expect(formatPrototype([...entries].reverse())).toBe(lines.join('\n'));
  });

  it.each([
    ['f 644 0 0 0 a b', ''],
    ['f 644 0 0 0 x/:a', ''],
    ['f 644 0 0 0 $', ''],
    ['l 777 0 0 0 a', 'b c'],
    ['s 644 0 0 0 socket', ''],
    ['f 644 0 0 0 a\nb', ''],
  ])('refuse %j -> %j', (entry, target) => {
    const tree = parseTree(`d 755 0 0 0 \0\0d 755 0 0 0 x\0\0${entry}\0${target}\0`);
    expect(() => formatPrototype(tree)).toThrow(/layout xfs cannot hold/);
  });
});

describe('inodes of XFS', () => {
  it('are found by their number', () => {
    const block = Buffer.alloc(512);
    block.write('XFSB');
    block.writeUInt32BE(4096, 4);
    for (const [index, number] of [128, 129, 130].entries())
      block.writeBigUInt64BE(BigInt(number), 56 + 8 * index);
    block.writeUInt32BE(24_448, 84);
    block.writeUInt16BE(512, 104);
    block.writeUInt8(3, 123);
    block.writeUInt8(15, 124);
    const table = readInodeTable(block);
    expect(table).toMatchObject({ size: 512, unnamed: [128, 129, 130] });
    expect(table.offsetOf(129)).toBe(65_536 + 512);
    // In the second group, whose inodes are numbered from 2^18 on.
    expect(table.offsetOf(2 ** 18 + 131)).toBe(24_448 * 4096 + 65_536 + 3 * 512);
    expect(() => readInodeTable(Buffer.alloc(512))).toThrow(/superblock/);
  });

  it('of another form are left alone', () => {
    const inode = Buffer.alloc(512);
    inode.writeUInt16BE(0x494e, 0);
    expect(() => stampInode(inode, { mtime: 1, epoch: 1, sticky: false })).toThrow(/unknown form/);
  });

  it('are protected by the CRC of Castagnoli', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  });
});
