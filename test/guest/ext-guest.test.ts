import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TsbuilderError } from '../../src/errors.js';
import { writeFile } from '../../src/guest/edit-tree.js';
import { extBase } from '../../src/guest/ext/ext-base.js';
import { planCommit } from '../../src/guest/ext/plan-commit.js';
import { runCommit } from '../../src/guest/ext/run-commit.js';
import { openExtVolume } from '../../src/guest/ext/volume.js';
import { openTree } from '../../src/guest/tree.js';
import { type ByteSource, bytesSource } from '../../src/io/byte-source.js';
import type { Guest } from '../../src/guest/guest.js';
import { openExtGuest } from '../../src/guest/ext/open-ext-guest.js';
import {
  MIB,
  OFFSET,
  debugfs,
  debugfsWrite,
  fsck,
  makeExtImage,
  run,
  scratchPath,
} from '../helpers/guest-image.js';

const open = (path: string, options: { fakeTime?: number } = {}): Promise<Guest> =>
  openExtGuest(path, { offset: OFFSET, ...options });

const sha = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

/** The filesystem of an image as bytes in memory. */
const sliceOf = (path: string): ByteSource => bytesSource(path, readFileSync(path).subarray(OFFSET));

const TREE = {
  'etc/hostname': 'old\n',
  'etc/script': { data: '#!/bin/sh\n', mode: 0o4755 },
  'etc/link': { link: 'hostname' },
  'etc/passwd': { link: '../../../../etc/passwd' },
  'etc/abs': { link: '/etc/hostname' },
  'etc/dangling': { link: '/var/new' },
  'etc/loop': { link: 'loop2' },
  'etc/loop2': { link: 'loop' },
  'var/lib/a/b/c': 'deep',
  'var/lib/a/d': 'file',
  'var/big': Buffer.alloc(300_000, 'ab'),
  empty: { dir: 0o700 },
};

const FLAVOURS = [
  { name: 'ext4', type: 'ext4' as const },
  {
    name: 'ext4 with 1 KiB blocks and no checksums',
    type: 'ext4' as const,
    args: ['-b', '1024', '-O', '^metadata_csum,^64bit'],
  },
  { name: 'ext4 with inline data', type: 'ext4' as const, args: ['-O', 'inline_data'] },
  { name: 'ext4 with meta_bg', type: 'ext4' as const, args: ['-O', 'meta_bg,^resize_inode'] },
  { name: 'ext3', type: 'ext3' as const },
  { name: 'ext2 with small inodes', type: 'ext2' as const, args: ['-I', '128', '-b', '1024'] },
];

describe.each(FLAVOURS)('a guest on $name', ({ type, args }) => {
  const make = (): string => makeExtImage(TREE, { type, args: args ?? [] });

  it('reads what mke2fs wrote', async () => {
    await using guest = await open(make());
    expect((await guest.readFile('/etc/hostname')).toString()).toBe('old\n');
    expect((await guest.readFile('/var/big')).equals(TREE['var/big'])).toBe(true);
    expect(await guest.readHead('/var/big', 3)).toEqual(Buffer.from('aba'));
    expect(await guest.list('/var/lib/a')).toEqual(['b', 'd']);
    expect(await guest.stat('/etc/script')).toMatchObject({ type: 'file', mode: 0o4755, uid: 0, size: 10 });
    expect(await guest.lstat('/etc/link')).toMatchObject({ type: 'symlink', size: 8 });
    expect(await guest.readLink('/etc/passwd')).toBe('../../../../etc/passwd');
    expect(await guest.exists('/nowhere/at/all')).toBe(false);
  });

  it('writes, and e2fsck and debugfs agree', async () => {
    const path = make();
    await using guest = await open(path);
    const content = Buffer.alloc(200_000, 'xyz');
    await guest.writeFile('/etc/hostname', 'new\n');
    await guest.writeFile('/etc/new file', content, {
      mode: 0o600,
      uid: 70_000,
      gid: 12,
      xattrs: new Map([['user.a', Buffer.from('v')]]),
    });
    await guest.mkdir('/srv/one/two', { parents: true, mode: 0o711, uid: 5 });
    await guest.writeFile('/srv/one/two/file', 'inside');
    await guest.symlink('../x "y"', '/srv/one/sym');
    await guest.symlink('l'.repeat(900), '/srv/one/long');
    await guest.hardLink('/etc/hostname', '/srv/one/again');
    await guest.hardLink('/var/lib/a/d', '/srv/one/d');
    await guest.chmod('/etc/script', 0o750);
    await guest.chown('/var/lib/a', { uid: 7, gid: 8 });
    await guest.setXattr('/var/lib/a', 'user.note', Buffer.from('n'));
    await guest.remove('/var/lib/a/b', { recursive: true });
    await guest.rename('/var/big', '/srv/moved');
    expect((await guest.readFile('/srv/one/again')).toString()).toBe('new\n');
    await guest.commit();
    fsck(path);
    // debugfs shows inline data with the zeros behind it.
    expect(debugfs(path, 'cat /etc/hostname').replace(/\0+$/, '')).toBe('new\n');
    expect(debugfs(path, 'stat "/etc/new file"')).toMatch(
      /Mode: {2}0600 [^]*User: 70000 {3}Group: {4}12 .*Size: 200000[^]*user\.a/,
    );
    expect(debugfs(path, 'stat /srv/one/two')).toMatch(/Mode: {2}0711 [^]*User: {5}5/);
    expect(debugfs(path, 'stat /srv/one/again')).toContain('Links: 2');
    await using again = await open(path);
    expect((await again.readFile('/etc/new file')).equals(content)).toBe(true);
    expect((await again.readFile('/srv/moved')).equals(TREE['var/big'])).toBe(true);
    expect(await again.readLink('/srv/one/sym')).toBe('../x "y"');
    expect(await again.readLink('/srv/one/long')).toBe('l'.repeat(900));
    expect(await again.stat('/var/lib/a')).toMatchObject({ uid: 7, gid: 8 });
    expect(await again.list('/var/lib/a')).toEqual(['d']);
    expect(await again.list('/var')).toEqual(['lib']);
  });

  it('replaces a file and keeps its mode, owner and attributes, and can go on after a commit', async () => {
    const path = make();
    await using guest = await open(path);
    await guest.chown('/etc/script', { uid: 3, gid: 4 });
    await guest.setXattr('/etc/script', 'user.k', Buffer.from([1, 0, 2]));
    await guest.commit();
    await guest.writeFile('/etc/script', 'other');
    await guest.commit();
    fsck(path);
    expect(await guest.stat('/etc/script')).toMatchObject({ mode: 0o4755, uid: 3, gid: 4, size: 5 });
    expect((await guest.getXattrs('/etc/script')).get('user.k')).toEqual(Buffer.from([1, 0, 2]));
  });

  it('makes the same bytes at different times', async () => {
    const first = make();
    const second = scratchPath('copy.img');
    writeFileSync(second, readFileSync(first));
    for (const path of [first, second]) {
      await using guest = await open(path, { fakeTime: 1_600_000_000 });
      await guest.writeFile('/etc/hostname', 'x');
      await guest.mkdir('/new');
      await guest.remove('/etc/link');
      await guest.commit();
      if (path === first) await new Promise((done) => setTimeout(done, 1001));
    }
    expect(sha(second)).toBe(sha(first));
  });
});

describe('links in a guest', () => {
  it('never lead out of its root', async () => {
    await using guest = await open(makeExtImage(TREE));
    expect(await guest.exists('/etc/passwd')).toBe(false);
    await expect(guest.readFile('/etc/passwd')).rejects.toMatchObject({ details: { reason: 'loop' } });
    await expect(guest.readFile('/etc/loop')).rejects.toMatchObject({ details: { reason: 'loop' } });
    expect(await guest.realPath('/etc/../../../etc/abs')).toBe('/etc/hostname');
    await guest.writeFile('/etc/dangling', 'made');
    expect((await guest.readFile('/var/new')).toString()).toBe('made');
  });

  it('reach files of the guest, not of the host', async () => {
    const path = makeExtImage({
      'etc/shadow-copy': { link: '../../../../../etc/hosts' },
      'etc/hosts': 'guest',
    });
    await using guest = await open(path);
    const host = readFileSync('/etc/hosts');
    expect((await guest.readFile('/etc/shadow-copy')).toString()).toBe('guest');
    await guest.writeFile('/etc/shadow-copy', 'changed');
    await guest.commit();
    expect((await guest.readFile('/etc/hosts')).toString()).toBe('changed');
    expect(readFileSync('/etc/hosts')).toEqual(host);
  });
});

describe('names that debugfs could misread', () => {
  const NAMES = [
    '<12>',
    '<2>',
    '-f',
    '-s',
    '#x',
    '!id',
    '"',
    '""',
    'a"b',
    '"; rm etc',
    'back\\slash',
    '$HOME',
    '`id`',
    'sp  ace',
    'tab\there',
    'é中🙂',
    '~',
    '*',
    '...',
    'n'.repeat(255),
    "'",
    'a;b',
    '%s%n',
    '@1',
    '?offset=3',
    ' ',
    '" "',
    '\u0001\u007f',
  ];

  it.each([
    { how: 'few at once, attributes set by name', atOnce: 8 },
    { how: 'all at once, attributes set by number', atOnce: NAMES.length },
  ])('are written as they are, in every command: $how', async ({ atOnce }) => {
    const path = makeExtImage(TREE);
    await using guest = await open(path);
    for (const [index, name] of NAMES.entries()) {
      if (index > 0 && index % atOnce === 0) await guest.commit();
      await guest.mkdir(`/t/${name}`, { parents: true });
      await guest.writeFile(`/t/${name}/${name}`, `content ${index}`, { mode: 0o640, uid: index });
      await guest.symlink(name, `/t/${name}/link`);
      await guest.hardLink(`/t/${name}/${name}`, `/t/${name}/${name.slice(1)}2`);
    }
    await guest.commit();
    fsck(path);
    expect(await guest.list('/t')).toEqual([...NAMES].sort());
    for (const [index, name] of NAMES.entries()) {
      expect((await guest.readFile(`/t/${name}/${name}`)).toString()).toBe(`content ${index}`);
      expect(await guest.readLink(`/t/${name}/link`)).toBe(name);
      expect(await guest.stat(`/t/${name}/${name}`)).toMatchObject({ mode: 0o640, uid: index, links: 2 });
      await guest.rename(`/t/${name}/${name}`, `/t/${name}/moved`);
      await guest.chmod(`/t/${name}`, 0o700);
      await guest.remove(`/t/${name}/link`);
    }
    await guest.commit();
    fsck(path);
    expect(await guest.list(`/t/<12>`)).toEqual(['12>2', 'moved']);
    await guest.remove('/t', { recursive: true });
    await guest.commit();
    fsck(path);
    expect(await guest.list('/')).toEqual(['empty', 'etc', 'lost+found', 'var']);
  });

  it('may be those of files of this machine', async () => {
    const folder = scratchPath('host');
    mkdirSync(folder);
    const path = makeExtImage(TREE);
    await using guest = await open(path);
    const names = [...NAMES, 'line\nrm etc', 'cr\rrm etc'];
    for (const [index, name] of names.entries()) {
      writeFileSync(join(folder, name), `content ${index}`);
      await guest.writeFile(`/${index}`, { hostFile: join(folder, name) });
    }
    await guest.commit();
    fsck(path);
    for (const index of names.keys()) {
      expect((await guest.readFile(`/${index}`)).toString()).toBe(`content ${index}`);
    }
    expect((await guest.readFile('/etc/hostname')).toString()).toBe('old\n');
  });

  it('are refused when a script cannot express them, and nothing is written', async () => {
    const path = makeExtImage(TREE);
    const before = sha(path);
    for (const name of ['a\nrm etc', 'a\rb']) {
      await using guest = await open(path);
      await guest.writeFile(`/etc/${name}`, '');
      await expect(guest.commit()).rejects.toMatchObject({ code: 'TSB_GUEST' });
    }
    await using guest = await open(path);
    await expect(guest.writeFile('/etc/a\0b', '')).rejects.toMatchObject({ code: 'TSB_GUEST' });
    await expect(guest.writeFile('etc/relative', '')).rejects.toMatchObject({ code: 'TSB_GUEST' });
    await expect(guest.writeFile(`/${'n'.repeat(256)}`, '')).rejects.toMatchObject({ code: 'TSB_GUEST' });
    await expect(guest.symlink('a\0b', '/l')).rejects.toMatchObject({ code: 'TSB_GUEST' });
    expect(sha(path)).toBe(before);
  });
});

describe('attributes in blocks of their own', () => {
  const make = (): string => {
    const path = makeExtImage(TREE, { args: ['-I', '128'] });
    for (const file of ['etc/script', 'etc/hostname', 'var/lib/a/b'])
      debugfsWrite(path, `ea_set ${file} user.k value`);
    return path;
  };

  it('are freed with their files', async () => {
    const path = make();
    await using guest = await open(path);
    await guest.remove('/var/lib/a', { recursive: true });
    await guest.remove('/etc/script');
    await guest.writeFile('/etc/hostname', 'x');
    await guest.commit();
    fsck(path);
    expect(await guest.getXattrs('/etc/hostname')).toEqual(new Map([['user.k', Buffer.from('value')]]));
  });

  it('are there again when the commit fails', async () => {
    const path = make();
    debugfsWrite(path, 'sif /lost+found mode 0100644');
    const before = sha(path);
    await using guest = await open(path);
    await guest.remove('/etc/script');
    await expect(guest.commit()).rejects.toBeInstanceOf(Error);
    expect(sha(path)).toBe(before);
  });
});

describe('a commit that fails', () => {
  it('leaves a full filesystem as it was, byte for byte', async () => {
    const path = makeExtImage(TREE, { mib: 4 });
    const before = sha(path);
    await using guest = await open(path);
    await guest.remove('/var/big');
    await guest.writeFile('/first', 'fits');
    await guest.writeFile('/huge', Buffer.alloc(8 * 1024 * 1024, 'q'));
    await expect(guest.commit()).rejects.toMatchObject({ code: 'TSB_NO_SPACE' });
    expect(sha(path)).toBe(before);
  });

  it('leaves a filesystem without free inodes as it was', async () => {
    const path = makeExtImage(TREE, { args: ['-N', '32'] });
    const before = sha(path);
    await using guest = await open(path);
    for (let index = 0; index < 40; index++) await guest.writeFile(`/f${index}`, '');
    await expect(guest.commit()).rejects.toMatchObject({ code: 'TSB_NO_SPACE' });
    expect(sha(path)).toBe(before);
  });

  it('leaves everything when a host file is missing', async () => {
    const path = makeExtImage(TREE);
    const before = sha(path);
    await using guest = await open(path);
    await guest.writeFile('/x', { hostFile: '/nonexistent/file' });
    await expect(guest.commit()).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
    expect(sha(path)).toBe(before);
  });

  it('takes back what it did to a filesystem that e2fsck does not like', async () => {
    const path = makeExtImage(TREE);
    debugfsWrite(path, 'sif /var/lib/a/d links_count 5');
    const before = sha(path);
    await using guest = await open(path);
    await guest.writeFile('/etc/hostname', 'x');
    await expect(guest.commit()).rejects.toMatchObject({
      code: 'TSB_FILESYSTEM',
      message: expect.stringMatching(
        /had faults before this change, which was not made: e2fsck found/,
      ) as string,
      hint: expect.stringContaining(`e2fsck -fy '${path}?offset=${OFFSET}'`) as string,
    });
    expect(sha(path)).toBe(before);
  });

  it('does not blame the filesystem when that was clean before', async () => {
    const path = makeExtImage(TREE);
    const before = sha(path);
    const tree = openTree(extBase(await openExtVolume(sliceOf(path))), 1);
    await writeFile(tree, '/new', { content: 'x', attributes: {} });
    const fault = new TsbuilderError('TSB_GUEST', 'not what was planned');
    const committed = runCommit({ diskPath: path, offset: OFFSET, now: 1 }, await planCommit(tree), {
      reread: () => Promise.resolve(tree.base),
      compare: () => Promise.reject(fault),
    });
    await expect(committed).rejects.toBe(fault);
    expect(sha(path)).toBe(before);
  });
});

describe('a filesystem at the end of a disk', () => {
  it('is changed, or left as it was, like any other', async () => {
    const source = readFileSync(makeExtImage(TREE)).subarray(OFFSET, OFFSET + 16 * MIB);
    const path = scratchPath('end.img');
    writeFileSync(path, Buffer.concat([Buffer.alloc(100 * MIB, 'x'), source]));
    const before = sha(path);
    const offset = 100 * MIB;
    await using guest = await openExtGuest(path, { offset });
    await guest.writeFile('/huge', Buffer.alloc(20 * MIB, 'q'));
    await expect(guest.commit()).rejects.toMatchObject({ code: 'TSB_NO_SPACE' });
    expect(sha(path)).toBe(before);
    await guest.remove('/huge');
    await guest.writeFile('/etc/hostname', 'end');
    await guest.commit();
    run('e2fsck', ['-fn', `${path}?offset=${offset}`]);
    expect(statSync(path).size).toBe(116 * MIB);
    expect(
      readFileSync(path)
        .subarray(0, offset)
        .every((byte) => byte === 0x78),
    ).toBe(true);
  });
});

describe('unusual filesystems', () => {
  it('copies a large file of the host', async () => {
    const path = makeExtImage(TREE, { mib: 64 });
    const file = scratchPath('upload');
    writeFileSync(
      file,
      Buffer.concat([Buffer.alloc(9_000_000, 'data'), Buffer.alloc(5_000_000), Buffer.alloc(7, 'e')]),
    );
    await using guest = await open(path);
    await guest.writeFile('/upload', { hostFile: file }, { mode: 0o755 });
    expect((await guest.readHead('/upload', 4)).toString()).toBe('data');
    await guest.commit();
    fsck(path);
    expect((await guest.readFile('/upload')).equals(readFileSync(file))).toBe(true);
  });

  it('adds many names to a large hashed folder', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 2000 }, (_, n) => [`big/a rather long name of a file number ${n}`, '']),
    );
    const path = makeExtImage(files, { mib: 32 });
    run('sh', ['-c', `e2fsck -fyD '${path}?offset=${OFFSET}' || true`]);
    expect(debugfs(path, 'htree /big')).toContain('Hash Version');
    await using guest = await open(path);
    expect(await guest.list('/big')).toHaveLength(2000);
    for (let n = 0; n < 300; n++) await guest.writeFile(`/big/another rather long name ${n}`, `${n}`);
    await guest.hardLink('/big/another rather long name 1', '/big/linked');
    await guest.remove('/big/a rather long name of a file number 77');
    await guest.commit();
    fsck(path);
    expect(await guest.list('/big')).toHaveLength(2300);
  });

  it('has an index for a folder of many copied files, and again when one more is added', async () => {
    const path = makeExtImage(TREE, { mib: 64, args: ['-N', '8192'] });
    const source = scratchPath('source');
    writeFileSync(source, 'content');
    await using guest = await open(path);
    await guest.mkdir('/many');
    for (let index = 0; index < 3000; index++) {
      await guest.writeFile(`/many/file-${index}`, { hostFile: source }, { mode: 0o600, uid: index });
    }
    await guest.commit();
    const check = (): void => {
      fsck(path);
      expect(debugfs(path, 'htree_dump /many')).toMatch(/Root node dump:[^]*Number of entries \(count\)/);
      // EXT4_INDEX_FL
      const flags = /Flags: 0x(\w+)/.exec(debugfs(path, 'stat /many'))?.[1] ?? '';
      expect(Number.parseInt(flags, 16) & 0x1000).toBe(0x1000);
    };
    check();
    expect(await guest.stat('/many/file-2999')).toMatchObject({ mode: 0o600, uid: 2999 });
    await guest.writeFile('/many/another', 'one more');
    await guest.commit();
    check();
    expect((await guest.list('/many')).length).toBe(3001);
  });

  it('has its journal replayed first', async () => {
    const path = makeExtImage({ 'etc/file': 'before\n' });
    const block = debugfs(path, 'blocks /etc/file').trim();
    const journalled = scratchPath('block');
    writeFileSync(journalled, Buffer.concat([Buffer.from('after!\n'), Buffer.alloc(4089)]));
    debugfsWrite(path, 'journal_open', `journal_write -b ${block} ${journalled}`, 'journal_close');
    expect(debugfs(path, 'cat /etc/file')).toBe('before\n');
    await using guest = await open(path);
    expect((await guest.readFile('/etc/file')).toString()).toBe('after!\n');
    await guest.writeFile('/etc/hostname', 'x');
    await guest.commit();
    fsck(path);
    expect(run('dumpe2fs', ['-h', `${path}?offset=${OFFSET}`])).not.toContain('needs_recovery');
  });

  it('are refused when they forbid writing or are none', async () => {
    const path = makeExtImage(TREE);
    debugfsWrite(path, 'feature read-only');
    await expect(open(path)).rejects.toMatchObject({ code: 'TSB_FILESYSTEM' });
    const other = scratchPath('zero.img');
    writeFileSync(other, Buffer.alloc(4 * 1024 * 1024));
    await expect(open(other)).rejects.toMatchObject({ code: 'TSB_FILESYSTEM' });
  });

  it('may lie in a disk whose path has a question mark and blanks', async () => {
    const path = scratchPath('odd ?offset=0 "name".img');
    writeFileSync(path, readFileSync(makeExtImage(TREE)));
    await using guest = await open(path);
    await guest.writeFile('/etc/hostname', 'odd');
    await guest.commit();
    expect((await guest.readFile('/etc/hostname')).toString()).toBe('odd');
  });
});

describe('edits', () => {
  it('are refused with a reason', async () => {
    await using guest = await open(makeExtImage(TREE));
    const refused = async (job: Promise<unknown>, reason: string): Promise<void> => {
      await expect(job).rejects.toMatchObject({ code: 'TSB_GUEST', details: { reason } });
    };
    await refused(guest.writeFile('/etc', 'x'), 'not-file');
    await refused(guest.writeFile('/none/x', 'x'), 'not-found');
    await refused(guest.writeFile('/etc/hostname/x', 'x'), 'not-folder');
    await refused(guest.mkdir('/etc'), 'exists');
    await refused(guest.mkdir('/etc/hostname/x', { parents: true }), 'not-folder');
    await refused(guest.remove('/etc'), 'not-empty');
    await refused(guest.remove('/'), 'unsupported');
    await refused(guest.symlink('x', '/etc'), 'is-folder');
    await refused(guest.hardLink('/etc', '/e'), 'is-folder');
    await refused(guest.rename('/var', '/var/lib/inside'), 'unsupported');
    await refused(guest.readFile('/var/big', { maxBytes: 10 }), 'too-large');
    await refused(guest.readFile('/etc'), 'not-file');
  });

  it('move a folder with all in it', async () => {
    const path = makeExtImage(TREE);
    await using guest = await open(path);
    await guest.chmod('/var/lib/a', 0o751);
    await guest.rename('/var/lib/a', '/empty/z');
    await guest.commit();
    fsck(path);
    expect(await guest.exists('/var/lib/a')).toBe(false);
    expect((await guest.readFile('/empty/z/b/c')).toString()).toBe('deep');
    expect((await guest.stat('/empty/z')).mode).toBe(0o751);
  });

  it('keep access control lists of a replaced file', async () => {
    const path = makeExtImage(TREE);
    const acl = Buffer.from(
      '0200000001000600ffffffff02000400e803000004000400ffffffff10000400ffffffff20000000ffffffff',
      'hex',
    );
    await using guest = await open(path);
    await guest.setXattr('/etc/hostname', 'system.posix_acl_access', acl);
    await guest.commit();
    expect((await guest.getXattrs('/etc/hostname')).get('system.posix_acl_access')).toEqual(acl);
    await guest.writeFile('/etc/hostname', 'kept');
    await guest.commit();
    fsck(path);
    expect((await guest.getXattrs('/etc/hostname')).get('system.posix_acl_access')).toEqual(acl);
  });

  it('are forgotten without a commit', async () => {
    const path = makeExtImage(TREE);
    const before = sha(path);
    {
      await using guest = await open(path);
      await guest.remove('/etc', { recursive: true });
      expect(await guest.exists('/etc/hostname')).toBe(false);
    }
    expect(sha(path)).toBe(before);
  });
});

describe('a filesystem with multiple mount protection', () => {
  it('is left to Linux: e2fsck could not take back what it changes there', async () => {
    const path = makeExtImage(TREE, { args: ['-O', 'mmp'] });
    const before = sha(path);
    await expect(open(path)).rejects.toMatchObject({
      code: 'TSB_FILESYSTEM',
      details: { reason: 'other-filesystem' },
    });
    expect(sha(path)).toBe(before);
  });
});
