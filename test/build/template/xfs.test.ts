import { describe, expect, it } from 'vitest';
import { xfsAcl } from '../../../src/build/template/xfs-acl.js';
import { shortAttributes } from '../../../src/build/template/xfs-attributes.js';
import { crc32c } from '../../../src/build/template/xfs-crc.js';
import { type InodeContent, completeInode } from '../../../src/build/template/xfs-inode.js';
import { allowAttributes, readPlaces } from '../../../src/build/template/xfs-superblock.js';

const EPOCH = 1_700_000_000;
const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex');
const attributes = (...of: readonly [string, Buffer][]): Buffer | undefined =>
  shortAttributes({ path: 'bin/ping', attributes: new Map(of) });

describe('shortAttributes', () => {
  it('has all attributes in the order of their names, the namespaces as flags', () => {
    expect(attributes()).toBeUndefined();
    expect(attributes(['trusted.SGI_ACL_FILE', Buffer.alloc(64)])).toBeUndefined();
    const fork = attributes(
      ['user.x', Buffer.of(1)],
      ['trusted.tt', Buffer.alloc(0)],
      ['security.capability', CAPABILITY],
    );
    const expected = Buffer.concat([
      ...[Buffer.of(0, 48, 3, 0), Buffer.of(10, 20, 4), Buffer.from('capability'), CAPABILITY],
      ...[Buffer.of(2, 0, 2), Buffer.from('tt'), Buffer.of(1, 1, 0), Buffer.from('x'), Buffer.of(1)],
    ]);
    expected.writeUInt16BE(expected.length, 0);
    expect(fork).toEqual(expected);
  });

  it('has access control lists in the form of XFS', () => {
    // user::rwx, group::r-x, group 4: r-x, mask::r-x, other::r-x, as Debian's /var/log/journal has them.
    const given =
      '02000000' +
      '01000700ffffffff' +
      '04000500ffffffff' +
      '0800050004000000' +
      '10000500ffffffff' +
      '20000500ffffffff';
    const stored =
      '00000005' +
      ['00000001ffffffff0007', '00000004ffffffff0005', '00000008000000040005', '00000010ffffffff0005'].join(
        '0000',
      ) +
      '000000000020ffffffff00050000';
    expect(xfsAcl(Buffer.from(given, 'hex'))?.toString('hex')).toBe(stored);
    const fork = attributes(['system.posix_acl_default', Buffer.from(given, 'hex')]) ?? Buffer.alloc(0);
    expect(fork.subarray(4, 22)).toEqual(Buffer.from('\x0f\x40\x02SGI_ACL_DEFAULT'));
    expect(fork.subarray(22).toString('hex')).toBe(stored);
    for (const bad of ['', '01000000', '020000000100'])
      expect(xfsAcl(Buffer.from(bad, 'hex'))).toBeUndefined();
  });

  it.each([
    ['system.other', 4],
    ['system.posix_acl_access', 13],
    ['user.', 1],
    ['user.x', 256],
    [`user.${'x'.repeat(256)}`, 1],
  ])('refuses %s of %i bytes', (name, length) => {
    expect(() => attributes([name, Buffer.alloc(length)])).toThrow(/^\/bin\/ping: layout xfs cannot hold /);
  });
});

/** An inode of 512 bytes whose data fork is in a format of XFS: 0 device, 1 local, 2 extents, 3 tree. */
function inodeOf(format: number, { size = 0, extents = 0 } = {}): Buffer {
  const inode = Buffer.alloc(512, 0xee);
  inode.writeUInt16BE(0x494e, 0);
  inode.writeUInt16BE(0o100644, 2);
  inode.writeUInt8(format, 5);
  inode.writeBigUInt64BE(BigInt(size), 56);
  inode.writeUInt32BE(extents, 76);
  inode.writeUInt8(0, 82);
  inode.writeUInt8(2, 83);
  inode.writeBigUInt64BE(8n, 120);
  return inode;
}

const complete = (inode: Buffer, content: Partial<InodeContent> = {}): Buffer => {
  completeInode(inode, { path: 'bin/ping', mtime: EPOCH - 1, epoch: EPOCH, ...content });
  return inode;
};
/** Where the attribute fork begins behind the data fork, in bytes, and in which format it is. */
const forkOf = (inode: Buffer): [number, number] => [inode.readUInt8(82) * 8, inode.readUInt8(83)];
const time = (inode: Buffer, at: number): number =>
  Number(inode.readBigUInt64BE(at) / 1_000_000_000n) - 2 ** 31;

describe('completeInode', () => {
  it('gives an inode its times, owner and permissions, and its checksum', () => {
    const inode = complete(inodeOf(2), { owner: { mode: 0o4755, uid: 7, gid: 2 ** 32 - 2 } });
    expect([32, 40, 48, 144].map((at) => time(inode, at))).toEqual([EPOCH, EPOCH - 1, EPOCH, EPOCH]);
    expect(inode.readUInt16BE(2)).toBe(0o104755);
    expect([inode.readUInt32BE(8), inode.readUInt32BE(12)]).toEqual([7, 2 ** 32 - 2]);
    const sum = inode.readUInt32LE(100);
    inode.writeUInt32LE(0, 100);
    expect(crc32c(inode)).toBe(sum);
    expect(forkOf(inode)).toEqual([0, 2]);
    expect(inode.readUInt16BE(2)).toBe(complete(inodeOf(2)).readUInt16BE(2) | 0o4755);
  });

  const fork = attributes(['security.capability', CAPABILITY]) ?? Buffer.alloc(0);
  const long = attributes(['user.x', Buffer.alloc(255)], ['user.y', Buffer.alloc(13)]) ?? Buffer.alloc(0);

  it.each([
    ['device', inodeOf(0), fork, 8],
    ['local', inodeOf(1, { size: 296 }), fork, 296],
    ['extents', inodeOf(2, { extents: 18 }), fork, 296],
    ['extents', inodeOf(2, { extents: 1 }), long, 56],
  ])('puts attributes behind a data fork of kind %s', (_, inode, put, begin) => {
    const before = Buffer.from(inode);
    complete(inode, { attributes: put });
    expect(forkOf(inode)).toEqual([begin, 1]);
    expect(inode.readUInt16BE(80)).toBe(0);
    expect(inode.subarray(176 + begin, 176 + begin + put.length)).toEqual(put);
    expect(inode.subarray(176, 176 + Math.min(begin, 52))).toEqual(
      before.subarray(176, 176 + Math.min(begin, 52)),
    );
  });

  it.each([
    ['a link that is too long', inodeOf(1, { size: 297 }), fork, /37 bytes of extended attributes/],
    ['too many pieces', inodeOf(2, { extents: 19 }), fork, /do not fit/],
    ['a tree of pieces', inodeOf(3), fork, /in so many pieces/],
    ['too many attributes', inodeOf(2), Buffer.alloc(281), /281 bytes/],
    ['too many attributes of a pipe', inodeOf(0), Buffer.alloc(329), /329 bytes/],
  ])('refuses attributes on %s', (_, inode, put, message) => {
    expect(() => complete(inode, { attributes: put })).toThrow(message);
    expect(() => complete(inode, { attributes: put })).toThrow(/^\/bin\/ping: layout xfs cannot hold /);
  });

  it('gives a link its target, in the place of one of as many bytes', () => {
    const inode = inodeOf(1, { size: 5 });
    expect(complete(inode, { target: 'ä b ' }).toString('utf8', 176, 181)).toBe('ä b ');
    for (const other of [inodeOf(2, { size: 5 }), inodeOf(1, { size: 4 })])
      expect(() => complete(other, { target: 'a b c' })).toThrow(/a link with blanks/);
  });

  it('takes the place of attributes that mkfs.xfs has copied', () => {
    const copied = complete(inodeOf(2, { extents: 1 }), { attributes: long });
    expect(forkOf(complete(Buffer.from(copied)))).toEqual([0, 2]);
    const again = complete(copied, { attributes: fork });
    expect(again).toEqual(complete(inodeOf(2, { extents: 1 }), { attributes: fork }));
  });

  it('leaves inodes of another form alone', () => {
    for (const flags of [0n, 24n]) {
      const inode = inodeOf(2);
      inode.writeBigUInt64BE(flags, 120);
      expect(() => complete(inode)).toThrow(/unknown form/);
    }
  });

  it('has the CRC of Castagnoli', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  });
});

describe('the superblock of XFS', () => {
  const block = Buffer.alloc(512);
  block.write('XFSB');
  block.writeUInt32BE(4096, 4);
  for (const [index, number] of [128, 129, 130].entries())
    block.writeBigUInt64BE(BigInt(number), 56 + 8 * index);
  block.writeUInt32BE(24_448, 84);
  block.writeUInt32BE(3, 88);
  block.writeUInt16BE(0xb4a5, 100);
  block.writeUInt16BE(512, 104);
  block.writeUInt8(3, 123);
  block.writeUInt8(15, 124);

  it('tells where inodes are by their numbers, and its own copies', () => {
    const places = readPlaces(block);
    expect(places).toMatchObject({ root: 128, realtime: [129, 130], blockSize: 4096 });
    expect(places.inode(129)).toEqual({ offset: 65_536 + 512, length: 512 });
    // In the second group, whose inodes are numbered from 2^18 on.
    expect(places.inode(2 ** 18 + 131).offset).toBe(24_448 * 4096 + 65_536 + 3 * 512);
    expect(places.blockOffset(2 * 2 ** 15 + 7)).toBe((2 * 24_448 + 7) * 4096);
    expect(places.superblocks).toEqual([0, 24_448 * 4096, 2 * 24_448 * 4096]);
    expect(() => readPlaces(Buffer.alloc(512))).toThrow(/superblock/);
  });

  it('tells that there are attributes', () => {
    const changed = Buffer.from(block);
    allowAttributes(changed);
    expect(changed.readUInt16BE(100)).toBe(0xb4b5);
    const sum = changed.readUInt32LE(224);
    changed.writeUInt32LE(0, 224);
    expect(sum).toBe(crc32c(changed));
    changed.writeUInt16BE(0xb4a5, 100);
    expect(changed).toEqual(block);
    expect(() => allowAttributes(Buffer.alloc(512))).toThrow(/superblock/);
  });
});
