import { describe, expect, it } from 'vitest';
import { openFileSource } from '../../src/io/file-source.js';
import { findRoots } from '../../src/guest/find-root.js';
import type { Guest } from '../../src/guest/guest.js';
import { openRoot } from '../../src/guest/open-guest.js';
import { type FileOperationName, apply, openGuest } from '../helpers/file-operations.js';
import {
  OFFSET,
  debugfs,
  debugfsWrite,
  fsck,
  makeExtImage,
  run,
  scratchPath,
} from '../helpers/guest-image.js';
import { GUEST_TREES } from '../helpers/guest-trees.js';
import { makeMountedDisk } from '../helpers/mounted-disk.js';

/** u::rwx, user 1000, g::r-x, mask, o::---, in the form of getxattr(2). */
const ACL = (mask: number, owner: number, other: number): Buffer =>
  Buffer.concat([
    Buffer.from([2, 0, 0, 0]),
    ...[
      [0x01, owner, 0xffffffff],
      [0x02, 7, 1000],
      [0x04, 5, 0xffffffff],
      [0x10, mask, 0xffffffff],
      [0x20, other, 0xffffffff],
    ].map(([tag = 0, permissions = 0, id = 0]) => {
      const entry = Buffer.alloc(8);
      entry.writeUInt16LE(tag, 0);
      entry.writeUInt16LE(permissions, 2);
      entry.writeUInt32LE(id, 4);
      return entry;
    }),
  ]);

describe('a file with several names', () => {
  const REWRITES: [FileOperationName, string, string][] = [
    ['write', '/a/one:new', 'new'],
    ['append-line', '/a/one:more', 'old\nmore\n'],
    ['truncate', '/a/one', ''],
    ['truncate-recursive', '/a', ''],
  ];

  it.each(REWRITES)('shows what --%s %s does under all of them', async (name, text, content) => {
    const path = makeExtImage({ 'a/one': 'old\n', 'b/c/d': 'x' });
    await using guest = await openGuest(path);
    await guest.hardLink('/a/one', '/b/c/far');
    await guest.hardLink('/a/one', '/a/near');
    await guest.chmod('/a/one', 0o4755);
    await guest.chown('/a/one', { uid: 5, gid: 6 });
    await guest.setXattr('/a/one', 'user.k', Buffer.from('v'));
    await guest.commit();
    // A name that is not on the disk yet counts too, and one that is gone does not.
    await guest.hardLink('/a/one', '/b/pending');
    await guest.remove('/a/near');
    await apply(guest, name, text);
    expect((await guest.readFile('/b/c/far')).toString()).toBe(content);
    await guest.commit();
    fsck(path);
    for (const each of ['/a/one', '/b/c/far', '/b/pending']) {
      expect((await guest.readFile(each)).toString()).toBe(content);
      expect(await guest.stat(each)).toMatchObject({ links: 3, mode: 0o4755, uid: 5, gid: 6 });
      expect((await guest.getXattrs(each)).get('user.k')?.toString()).toBe('v');
    }
    expect(await guest.exists('/a/near')).toBe(false);
  });

  it('is not scrubbed when it was written just now', async () => {
    await using guest = await openGuest(makeExtImage({ a: 'old' }));
    await guest.hardLink('/a', '/b');
    await guest.writeFile('/a', 'new');
    await expect(guest.scrub('/a')).rejects.toMatchObject({ code: 'TSB_GUEST' });
  });
});

describe('chmod', () => {
  it('changes an access control list as the kernel does', async () => {
    const path = makeExtImage({ f: 'x' });
    await using guest = await openGuest(path);
    await guest.setXattr('/f', 'system.posix_acl_access', ACL(7, 7, 0));
    await guest.commit();
    await apply(guest, 'chmod', '0641:/f');
    await guest.commit();
    fsck(path);
    expect((await guest.getXattrs('/f')).get('system.posix_acl_access')).toEqual(ACL(4, 6, 1));
    expect(debugfs(path, 'stat /f')).toContain('Mode:  0641');
  });
});

describe('a new file', () => {
  it('gets what its folder says', async () => {
    const path = makeExtImage({ 'd/x': '' });
    await using guest = await openGuest(path);
    await guest.chmod('/d', 0o2755);
    await guest.chown('/d', { uid: 1, gid: 9 });
    await guest.setXattr('/d', 'system.posix_acl_default', ACL(7, 7, 5));
    await guest.commit();
    await guest.mkdir('/d/sub/deep', { parents: true });
    await guest.writeFile('/d/sub/f', 'x');
    await guest.writeFile('/d/own', 'x', { mode: 0o600, uid: 3, gid: 4 });
    await guest.symlink('x', '/d/link');
    await apply(guest, 'copy', '/d/x:/d/copy');
    await guest.commit();
    fsck(path);
    expect(await guest.stat('/d/sub/deep')).toMatchObject({ mode: 0o2775, uid: 0, gid: 9 });
    expect(await guest.stat('/d/sub/f')).toMatchObject({ mode: 0o664, uid: 0, gid: 9 });
    expect(await guest.stat('/d/own')).toMatchObject({ mode: 0o600, uid: 3, gid: 4 });
    expect(await guest.lstat('/d/link')).toMatchObject({ mode: 0o777, gid: 9 });
    const deep = await guest.getXattrs('/d/sub/deep');
    expect(deep.get('system.posix_acl_default')).toEqual(ACL(7, 7, 5));
    expect(deep.get('system.posix_acl_access')).toEqual(ACL(7, 7, 5));
    expect(await guest.getXattrs('/d/sub/f')).toEqual(new Map([['system.posix_acl_access', ACL(6, 6, 4)]]));
    expect((await guest.getXattrs('/d/own')).get('system.posix_acl_access')).toEqual(ACL(0, 6, 0));
    expect((await guest.getXattrs('/d/copy')).size).toBe(0);
  });
});

it('a copy of a link has its attributes, not those of what it leads to', async () => {
  const path = makeExtImage({ f: 'x', l: { link: 'f' } });
  debugfsWrite(path, 'ea_set /l trusted.own link', 'ea_set /f user.k file');
  await using guest = await openGuest(path);
  await apply(guest, 'copy', '/l:/copy');
  await guest.commit();
  fsck(path);
  const own = new Map([['trusted.own', Buffer.from('link')]]);
  expect(await guest.getXattrs('/copy', { follow: 'parents' })).toEqual(own);
  expect([...(await guest.getXattrs('/copy')).keys()]).toEqual(['user.k']);
});

describe('a path that ends in a slash', () => {
  it.each([
    ['move', '/f:/none/'],
    ['move', '/f:/g/'],
    ['move', '/f/:/new'],
    ['copy', '/f:/none/'],
    ['copy', '/f/:/new'],
    ['upload', '/etc/hostname:/none/'],
    ['link', 'x:/none/'],
  ] as [FileOperationName, string][])('must be a folder: --%s %s', async (name, text) => {
    await using guest = await openGuest(makeExtImage({ f: 'f', g: 'g' }));
    await expect(apply(guest, name, text)).rejects.toMatchObject({ details: { reason: 'not-folder' } });
    expect(await guest.list('/')).toEqual(['f', 'g', 'lost+found']);
  });

  it.each(['write', 'append-line'] as const)('is no file to --%s', async (name) => {
    await using guest = await openGuest(makeExtImage({}));
    await expect(apply(guest, name, '/x/:text')).rejects.toMatchObject({ code: 'TSB_USAGE' });
  });

  it('may be what a folder is to be called', async () => {
    await using guest = await openGuest(makeExtImage({ 'd/x': 'x' }));
    await apply(guest, 'move', '/d/:/new/');
    expect(await guest.list('/new')).toEqual(['x']);
  });
});

describe('moving to another filesystem', () => {
  it('copies all with attributes and hard links, and removes the original', async () => {
    const disk = makeMountedDisk(
      {
        tree: {
          ...GUEST_TREES.DEBIAN_12,
          'etc/fstab': 'UUID=11111111-1111-1111-1111-111111111111 /boot ext4 defaults 0 2\n',
          boot: { dir: 0o755 },
          taken: { link: 'etc' },
        },
        mib: 16,
      },
      {
        tree: { 'd/one': { data: '1', mode: 0o640 }, 'd/sub/l': { link: '../one' }, f: 'f' },
        uuid: '11111111-1111-1111-1111-111111111111',
      },
    );
    const open = async (): Promise<Guest> => {
      await using source = await openFileSource(disk.path);
      const [root] = await findRoots(source, disk.partitions);
      if (!root) throw new Error('no root');
      return await openRoot(disk.path, root);
    };
    await using guest = await open();
    await guest.hardLink('/boot/d/one', '/boot/d/sub/two');
    await guest.setXattr('/boot/d/one', 'user.k', Buffer.from('v'));
    await guest.chown('/boot/d/one', { uid: 7, gid: 8 });
    await guest.setTime('/boot/d/one', 1_000_000_000);
    await guest.commit();
    await apply(guest, 'move', '/boot/d:/srv-d');
    await apply(guest, 'move', '/boot/f:/moved');
    await guest.commit();
    for (const each of ['/srv-d/one', '/srv-d/sub/two']) {
      expect(await guest.stat(each)).toMatchObject({ links: 2, mode: 0o640, uid: 7, gid: 8, mtime: 1e9 });
      expect((await guest.getXattrs(each)).get('user.k')?.toString()).toBe('v');
    }
    expect((await guest.stat('/srv-d/one')).id).toBe((await guest.stat('/srv-d/sub/two')).id);
    expect(await guest.readLink('/srv-d/sub/l')).toBe('../one');
    expect((await guest.readFile('/moved')).toString()).toBe('f');
    expect(await guest.list('/boot')).toEqual(['lost+found']);
    for (const { offset } of disk.partitions) run('e2fsck', ['-fn', `${disk.path}?offset=${offset}`]);
  });
});

describe('hard links, access control lists and in-place writing', () => {
  it('come out as guestfish makes them', async () => {
    const path = makeExtImage({ 'd/x': '', 'g/x': '', a: 'old\n', t: 'old\n', w: 'old\n' });
    {
      await using guest = await openGuest(path);
      for (const name of ['a', 't', 'w']) {
        await guest.chmod(`/${name}`, 0o4755);
        await guest.setXattr(`/${name}`, 'user.k', Buffer.from('v'));
        await guest.setXattr(`/${name}`, 'system.posix_acl_access', ACL(5, 7, 5));
        await guest.hardLink(`/${name}`, `/d/${name}`);
      }
      await guest.chmod('/g', 0o2755);
      await guest.chown('/g', { uid: 1, gid: 9 });
      await guest.setXattr('/g', 'system.posix_acl_default', ACL(7, 7, 5));
      await guest.commit();
    }
    const theirs = scratchPath('theirs.img');
    run('cp', [path, theirs]);
    const script = `add ${theirs} format:raw
run
mount-options offset=${OFFSET} /dev/sda /
write-append /a "more\\n"
truncate /t
write /w new
chmod 0641 /w
mkdir-p /g/sub/deep
write /g/sub/f x
touch /g/t
ln-s x /g/link
write /g/m x
chmod 0600 /g/m
umount-all
`;
    run('env', ['LIBGUESTFS_BACKEND=direct', 'LIBGUESTFS_BACKEND_SETTINGS=force_tcg', 'guestfish'], script);
    await using mine = await openGuest(path);
    await apply(mine, 'append-line', '/a:more');
    await apply(mine, 'truncate', '/t');
    await apply(mine, 'write', '/w:new');
    await apply(mine, 'chmod', '0641:/w');
    await apply(mine, 'mkdir', '/g/sub/deep');
    await apply(mine, 'write', '/g/sub/f:x');
    await apply(mine, 'touch', '/g/t');
    await apply(mine, 'link', 'x:/g/link');
    await mine.writeFile('/g/m', 'x', { mode: 0o600 });
    await mine.commit();
    fsck(path);
    await using other = await openGuest(theirs);
    for (const each of ['/a', '/d/a', '/t', '/d/t', '/w', '/d/w']) {
      const [got, wanted] = [await mine.stat(each), await other.stat(each)];
      expect({ ...got, id: 0, mtime: 0 }).toEqual({ ...wanted, id: 0, mtime: 0 });
      expect(await mine.readFile(each)).toEqual(await other.readFile(each));
      expect(await mine.getXattrs(each)).toEqual(await other.getXattrs(each));
    }
    for (const each of ['/g/sub', '/g/sub/deep', '/g/sub/f', '/g/t', '/g/m', '/g/link']) {
      const [got, wanted] = [await mine.lstat(each), await other.lstat(each)];
      expect({ ...got, id: 0, mtime: 0 }).toEqual({ ...wanted, id: 0, mtime: 0 });
      if (got.type !== 'symlink') expect(await mine.getXattrs(each)).toEqual(await other.getXattrs(each));
    }
  });
});
