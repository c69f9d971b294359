import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TreeEntry } from '../../../src/build/template/tar-tree.js';
import { crc32c } from '../../../src/build/template/xfs-crc.js';
import { folderBlocks, renameInBlock, renameInInode } from '../../../src/build/template/xfs-folder.js';
import { standInName, standInTarget } from '../../../src/build/template/xfs-names.js';
import { planXfs, plannedRenames } from '../../../src/build/template/xfs-plan.js';
import { formatPrototype } from '../../../src/build/template/xfs-prototype.js';
import { readPlaces } from '../../../src/build/template/xfs-superblock.js';

/** The hash of a name in a folder, byte by byte. */
const hashOf = (name: Buffer): number =>
  name.reduce((hash, byte) => (byte ^ ((hash << 7) | (hash >>> 25))) >>> 0, 0);

/** What mkfs.xfs takes for one word, and for no comment and no end of a folder. */
const isWord = (text: string): boolean => /^[^: \t\n\0/][^ \t\n\0/]*$/.test(text) && text !== '$';

describe('standInName', () => {
  it('is a word of as many bytes and the same hash', () => {
    const name = fc.string({
      unit: fc.constantFrom(' ', ':', '$', '\t', '\n', 'a', '.', '!', 'ä', '語'),
      minLength: 1,
    });
    fc.assert(
      fc.property(name, (text) => {
        const standIn = standInName(text);
        if (standIn === undefined) return;
        const [bytes, before] = [Buffer.from(standIn, 'latin1'), Buffer.from(text)];
        expect(isWord(standIn)).toBe(true);
        expect(bytes).toHaveLength(before.length);
        expect(hashOf(bytes)).toBe(hashOf(before));
        if (isWord(text)) expect(bytes).toEqual(before);
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ':etc:default:grub',
    'script (dev).tmpl',
    ' a',
    'a ',
    'a  b',
    '\n\n\n',
    'a\tb',
    'Lorem ipsum.txt',
  ])('is there for %j', (name) => expect(standInName(name)).toBeDefined());

  it.each([' ', '$', ':', '. '])('is not there for %j', (name) => expect(standInName(name)).toBeUndefined());

  it('has a counterpart for targets', () => {
    expect(standInTarget('../a b/:c')).toBe('../a_b/:c');
    expect(Buffer.from(standInTarget(':ä'), 'latin1').toString()).toBe('_ä');
  });
});

const entry = (type: TreeEntry['type'], path: string, target = ''): TreeEntry => ({
  ...{ type, path, target, mode: 0o644, uid: 0, gid: 0, mtime: 0, attributes: new Map() },
});

describe('planXfs', () => {
  const entries = [
    entry('directory', ''),
    entry('file', 'b/su'),
    entry('directory', 'b'),
    entry('file', 'b/:c'),
    entry('file', ':c'),
    entry('symlink', 'a', 'b c'),
    entry('fifo', 'b/pipe'),
    entry('directory', 'x y'),
    entry('file', 'x y/ß'),
  ];

  it('makes a prototype in the order of names, with stand-ins', () => {
    const plan = planXfs(entries);
    const lines = [
      ...['-', '0 0', 'd--755 0 0', ';\xe3 ---755 0 0 ./:c', 'a l--755 0 0 b_c'],
      ...['b d--755 0 0', ';\xe3 ---755 0 0 ./b/:c', 'pipe p--755 0 0', 'su ---755 0 0 ./b/su', '$'],
      ...['x!\xf9 d--755 0 0', '\xc3\x9f ---755 0 0 ../file-8', '$', '$', ''],
    ];
    expect(formatPrototype(plan.values()).toString('latin1')).toBe(lines.join('\n'));
    expect(formatPrototype(planXfs([...entries].reverse()).values())).toEqual(formatPrototype(plan.values()));
    expect(plannedRenames(plan)).toEqual(
      new Map([
        [
          '',
          new Map([
            [';\xe3', ':c'],
            ['x!\xf9', 'x y'],
          ]),
        ],
        ['b', new Map([[';\xe3', ':c']])],
      ]),
    );
  });

  it.each([
    ['character', 'null', /devices/],
    ['file', 'b/ ', /this name with blanks/],
    ['file', 'b/$', /this name with blanks/],
  ] as const)('refuses a %s %j', (type, path, message) => {
    expect(() => planXfs([...entries, entry(type, path)])).toThrow(message);
  });
});

const RENAMES = new Map([[';\xe3', ':c']]);

describe('names in folders of XFS', () => {
  it.each([4, 8])('are replaced in an inode with numbers of %i bytes', (length) => {
    const inode = Buffer.alloc(512);
    inode.writeUInt8(1, 5);
    const number = Buffer.alloc(length, 9);
    const item = (name: string): Buffer =>
      Buffer.concat([Buffer.of(name.length, 0, 96), Buffer.from(name, 'latin1'), Buffer.of(1), number]);
    const build = (...names: string[]): Buffer =>
      Buffer.concat([Buffer.of(names.length, length === 8 ? 1 : 0), number, ...names.map(item)]);
    build(';\xe3x', ';\xe3').copy(inode, 176);
    expect(renameInInode(inode, RENAMES)).toBe(1);
    const expected = build(';\xe3x', ':c');
    expect(inode.subarray(176, 176 + expected.length)).toEqual(expected);
    inode.writeUInt8(2, 5);
    expect(renameInInode(inode, RENAMES)).toBe(0);
  });

  it('are replaced in a block, whose checksum is made again', () => {
    const block = Buffer.alloc(4096);
    const put = (at: number, name: string): void => {
      block.writeUInt8(name.length, at + 8);
      block.write(name, at + 9, 'latin1');
    };
    block.write('XDB3');
    put(64, 'twelve bytes');
    // An entry of 24 bytes, then an unused place, then the name.
    block.writeUInt32BE(0xffff_0020, 88);
    put(120, ';\xe3');
    block.writeUInt32BE(0xffff_0000 + (4096 - 8 - 16 - 136), 136);
    // The hashes of two names.
    block.writeUInt32BE(2, 4088);
    block.fill(0xff, 4072, 4088);
    expect(renameInBlock(block, RENAMES)).toBe(1);
    expect(block.toString('latin1', 129, 131)).toBe(':c');
    const sum = block.readUInt32LE(4);
    block.writeUInt32LE(0, 4);
    expect(sum).toBe(crc32c(block));
    expect(() => renameInBlock(Buffer.alloc(4096), RENAMES)).toThrow(/unknown form/);
  });

  it('are looked for in the blocks that have names', () => {
    const superblock = Buffer.alloc(512);
    superblock.write('XFSB');
    superblock.writeUInt32BE(4096, 4);
    superblock.writeUInt32BE(1000, 84);
    superblock.writeUInt8(10, 124);
    const inode = Buffer.alloc(512);
    inode.writeUInt8(2, 5);
    inode.writeUInt32BE(2, 76);
    const extent = (at: number, [from, block, count]: readonly [bigint, bigint, bigint]): void => {
      inode.writeBigUInt64BE((from << 9n) | (block >> 43n), at);
      inode.writeBigUInt64BE(BigInt.asUintN(64, (block << 21n) | count), at + 8);
    };
    extent(176, [0n, 1024n + 5n, 2n]);
    extent(192, [2n ** 23n, 9n, 1n]);
    expect(folderBlocks(inode, readPlaces(superblock))).toEqual([
      { offset: 1005 * 4096, length: 4096 },
      { offset: 1006 * 4096, length: 4096 },
    ]);
    inode.writeUInt8(1, 5);
    expect(folderBlocks(inode, readPlaces(superblock))).toEqual([]);
  });
});
