import { describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/io/byte-source.js';
import { opaqueDisk } from '../../src/io/disk-source.js';
import type { GuestFiles } from '../../src/guest/guest.js';
import { openFileSource } from '../../src/io/file-source.js';
import { silentProgress } from '../../src/progress.js';
import { openImageFiles } from '../../src/serve/image-files.js';
import { type ListedFile, fileContent, listFiles, printableBytes } from '../../src/serve/list-files.js';
import { formatListing, listingObject } from '../../src/ui/file-listing.js';
import { makeDisk, run } from '../helpers/disk.js';
import { makeFat } from '../helpers/disk-content.js';
import { GROUP, makeMountedDisk } from '../helpers/mounted-disk.js';
import { MIB, type TreeSpec, makeTree, scratchPath } from '../helpers/guest-image.js';

/** A GPT disk with partitions of 8 MiB from 1 MiB on: a tree makes an ext4 filesystem, 'fat' and 'nothing' what they say. */
function makeImage(contents: readonly (TreeSpec | 'fat' | 'nothing')[]): string {
  const path = scratchPath('disk.img');
  const parts = contents.map((_, index) => `start=${(1 + index * 8) * 2048}, size=${8 * 2048}`);
  makeDisk(path, (contents.length * 8 + 2) * MIB, `label: gpt\n${parts.join('\n')}\n`);
  contents.forEach((content, index) => {
    const place = { offset: (1 + index * 8) * MIB, length: 8 * MIB };
    if (content === 'fat') makeFat(path, place);
    else if (content !== 'nothing') {
      const where = ['-E', `offset=${place.offset},root_owner=0:0`];
      run('mke2fs', ['-q', '-F', '-t', 'ext4', ...where, '-d', makeTree(content), path, '8M']);
    }
  });
  return path;
}

const SYSTEM = { 'etc/hostname': 'one\n', 'bin/sh': 'x' };

async function open(path: string, partition?: number): Promise<number> {
  await using disk = opaqueDisk(await openFileSource(path));
  return (await openImageFiles(disk, { partition, progress: silentProgress })).partition;
}

describe('openImageFiles', () => {
  it('takes the only ext filesystem, or the one with a system', async () => {
    expect(await open(makeImage(['fat', 'nothing', { readme: 'x' }]))).toBe(3);
    expect(await open(makeImage([{ vmlinuz: 'x' }, SYSTEM, { 'home/me': 'x' }]))).toBe(2);
  });

  it('takes the partition that is asked for', async () => {
    const path = makeImage([{ vmlinuz: 'x' }, SYSTEM]);
    expect(await open(path, 1)).toBe(1);
    expect(await open(path, 2)).toBe(2);
    await expect(open(path, 3)).rejects.toMatchObject({
      code: 'TSB_PARTITION_NOT_FOUND',
      hint: 'The disk has 1 (8 MiB), 2 (8 MiB).',
    });
  });

  it('takes a filesystem on the whole disk as number 0', async () => {
    const path = scratchPath('whole.img');
    run('truncate', ['-s', '8M', path]);
    run('mke2fs', ['-q', '-F', '-t', 'ext2', '-d', makeTree(SYSTEM), path]);
    expect(await open(path)).toBe(0);
    expect(await open(path, 0)).toBe(0);
    await expect(open(path, 1)).rejects.toMatchObject({ code: 'TSB_PARTITION_NOT_FOUND' });
  });

  it('does not guess', async () => {
    await expect(open(makeImage([SYSTEM, SYSTEM]))).rejects.toMatchObject({
      code: 'TSB_GUEST',
      message: expect.stringMatching(/partition 1, partition 2$/) as string,
    });
    await expect(open(makeImage([{ a: 'x' }, { b: 'x' }]))).rejects.toMatchObject({ code: 'TSB_GUEST' });
  });

  it('names what it cannot read, and what can', async () => {
    const path = makeImage(['fat', 'nothing']);
    await expect(open(path)).rejects.toMatchObject({
      code: 'TSB_FILESYSTEM',
      message: expect.stringMatching(/1: vfat, 2: nothing that is known$/) as string,
      hint: expect.stringContaining(
        `serve SRC --tcp 127.0.0.1:0 --run 'guestfish --ro --format=raw -a "$uri" run : list-filesystems'`,
      ) as string,
    });
    await expect(open(path, 1)).rejects.toMatchObject({
      code: 'TSB_FILESYSTEM',
      message: expect.stringContaining('partition 1 of') as string,
      hint: expect.stringContaining('run : mount /dev/sda1 / : ls /') as string,
    });
    const empty = opaqueDisk(bytesSource('empty', new Uint8Array(MIB)));
    await expect(openImageFiles(empty, { progress: silentProgress })).rejects.toMatchObject({
      code: 'TSB_FILESYSTEM',
      message: expect.stringContaining('no partitions') as string,
    });
  });

  it('says when a journal waits to be replayed', async () => {
    const path = makeImage([SYSTEM]);
    run('debugfs', ['-w', '-R', 'feature needs_recovery', `${path}?offset=${MIB}`]);
    await using disk = opaqueDisk(await openFileSource(path));
    const warnings: string[] = [];
    await openImageFiles(disk, { progress: { ...silentProgress, warn: (text) => void warnings.push(text) } });
    expect(warnings).toEqual([expect.stringContaining('was not unmounted')]);
  });
});

const VAR = '22222222-2222-4222-8222-222222222222';

/** A GPT disk of a system whose /var, /srv, /usr and /data are, in this order, ext4, FAT, another ext4 and not on the disk. */
function makeComposed(): string {
  const fstab = [
    `UUID=${VAR} /var ext4 defaults 0 2`,
    '/dev/vda3 /srv/fat vfat defaults 0 2',
    '/dev/vda4 /usr auto defaults 0 2',
    'UUID=dead-beef /data ext4 defaults 0 2',
  ];
  const path = makeImage([
    {
      ...SYSTEM,
      'etc/fstab': fstab.join('\n'),
      'etc/in': { link: '/data/below' },
      'data/below': 'hidden\n',
      'srv/fat/covered': 'x',
      usr: { dir: 0o755 },
      'var/covered': 'x',
    },
    { 'log/messages': 'a log\n', up: { link: '../etc/hostname' } },
    'fat',
    { 'bin/true': 'x', 'etc/local': 'x' },
  ]);
  run('tune2fs', ['-U', VAR, `${path}?offset=${9 * MIB}`]);
  return path;
}

/** Opens the files of an image, with the warnings so far. */
async function look<T>(
  path: string,
  work: (files: GuestFiles, warnings: string[]) => Promise<T>,
): Promise<T> {
  const warnings: string[] = [];
  await using disk = opaqueDisk(await openFileSource(path));
  const progress = { ...silentProgress, warn: (text: string) => void warnings.push(text) };
  return await work((await openImageFiles(disk, { progress })).files, warnings);
}

describe('a system of several filesystems', () => {
  it('is read as one', async () => {
    await look(makeComposed(), async (files, warnings) => {
      const paths = async (path: string): Promise<string[]> =>
        (await collect(listFiles(files, path, QUIETLY))).map(({ rawPath }) => rawPath);
      expect(await paths('/var')).toEqual(['/var/log', '/var/lost+found', '/var/up']);
      expect(await paths('/usr')).toEqual(['/usr/bin', '/usr/etc', '/usr/lost+found']);
      expect(Buffer.concat(await collect(fileContent(files, '/var/up'))).toString()).toBe('one\n');
      await expect(paths('/srv/fat')).rejects.toMatchObject({
        code: 'TSB_GUEST',
        message: expect.stringContaining('partition 3, which holds vfat') as string,
      });
      expect(warnings).toEqual([]);
    });
  });

  it('is one partition where one is named', async () => {
    await using disk = opaqueDisk(await openFileSource(makeComposed()));
    const { files } = await openImageFiles(disk, { partition: 1, progress: silentProgress });
    expect(await files.list('/var')).toEqual(['covered']);
  });

  it('leaves out, when all is listed, what cannot be read', async () => {
    await look(makeComposed(), async (files) => {
      const skipped: string[] = [];
      const onSkip = (message: string): void => void skipped.push(message);
      const listed = await collect(listFiles(files, '/', { details: false, recursive: true, onSkip }));
      const paths = listed.map(({ rawPath }) => rawPath);
      expect(paths).toEqual(
        expect.arrayContaining(['/srv/fat', '/usr/bin/true', '/var/log/messages', '/data/below']),
      );
      expect(paths.filter((path) => path.includes('covered'))).toEqual([]);
      expect(skipped).toEqual([
        expect.stringMatching(/^\/srv\/fat in .*: \/srv\/fat is another filesystem that cannot be reached/),
      ]);
    });
  });

  it('says once when it reads below what is not on the disk', async () => {
    const warning = /^\/data: the guest mounts UUID=dead-beef at \/data .* the guest does not see$/;
    const image = makeComposed();
    for (const read of [
      (files: GuestFiles) => files.readFile('/data/below'),
      (files: GuestFiles) => files.readFile('/etc/in'),
      (files: GuestFiles) => files.entries('/data/'),
      (files: GuestFiles) => files.exists('/data/nothing'),
    ]) {
      await look(image, async (files, warnings) => {
        await files.entries('/', { details: true });
        expect(warnings).toEqual([]);
        await read(files);
        await read(files);
        expect(warnings).toEqual([expect.stringMatching(warning)]);
      });
    }
  });

  it('may be on LVM volumes', async () => {
    const fstab = `/dev/mapper/vg--0-root / ext4 defaults 0 1\n/dev/${GROUP}/home /home ext4 defaults 0 2\n`;
    const { path, partitions } = makeMountedDisk(
      { mib: 1 },
      {
        lvm: [
          { name: 'root', tree: { ...SYSTEM, 'etc/fstab': fstab, home: { dir: 0o755 } } },
          { name: 'home', tree: { 'me/file': 'x' } },
        ],
      },
    );
    const lines = partitions.map(({ offset, length }) => `start=${offset / 512}, size=${length / 512}`);
    run('sh', ['-c', `printf 'label: dos\n%s\n%s\n' "$1" "$2" | sfdisk -q "$0"`, path, ...lines]);
    await look(path, async (files) => expect(await files.list('/home/me')).toEqual(['file']));
    expect(await open(path)).toBe(2);
    await expect(open(path, 2)).rejects.toMatchObject({
      message: expect.stringContaining('LVM') as string,
    });
  });
});

const QUIETLY = { details: false, recursive: false, onSkip: () => undefined };

const TREE: TreeSpec = {
  'etc/hostname': 'one\n',
  'etc/escape\x1b[2J': 'x',
  'etc/link': { link: '../../../etc/hostname' },
  'var/big': Buffer.alloc(2 * MIB + 3, 7),
  'var/sub/deep': 'deep',
};

async function listing(
  path: string,
  options: { details?: boolean; recursive?: boolean; image?: string } = {},
): Promise<{ files: ListedFile[]; skipped: string[] }> {
  const { details = false, recursive = false } = options;
  await using disk = opaqueDisk(await openFileSource(options.image ?? makeImage([TREE])));
  const { files } = await openImageFiles(disk, { progress: silentProgress });
  const skipped: string[] = [];
  const onSkip = (message: string): void => void skipped.push(message);
  return { files: await collect(listFiles(files, path, { details, recursive, onSkip })), skipped };
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

describe('listFiles', () => {
  it('lists a folder, a file, and everything below', async () => {
    const image = makeImage([TREE]);
    const raw = async (...args: Parameters<typeof listing>): Promise<string[]> =>
      (await listing(args[0], { image, ...args[1] })).files.map(({ rawPath }) => rawPath);
    expect(await raw('/')).toEqual(['/etc', '/lost+found', '/var']);
    expect(await raw('etc//./')).toEqual(['/etc/escape\x1b[2J', '/etc/hostname', '/etc/link']);
    expect(await raw('/etc/link')).toEqual(['/etc/link']);
    expect(await raw('/', { recursive: true })).toEqual([
      '/etc',
      '/etc/escape\x1b[2J',
      '/etc/hostname',
      '/etc/link',
      '/lost+found',
      '/var',
      '/var/big',
      '/var/sub',
      '/var/sub/deep',
    ]);
    await expect(raw('/nothing')).rejects.toMatchObject({ code: 'TSB_GUEST' });
  });

  it('enters no folder twice', async () => {
    const image = makeImage([TREE]);
    // Now /var/sub/loop is /var again: a loop that only damage can make.
    run('debugfs', ['-w', '-R', 'link /var /var/sub/loop', `${image}?offset=${MIB}`]);
    const { files, skipped } = await listing('/', { image, recursive: true });
    expect(files.filter(({ rawName }) => rawName === 'big')).toHaveLength(1);
    expect(skipped).toEqual(['/var/sub/loop: is a folder seen before, so it is not entered']);
  });
});

describe('fileContent', () => {
  it('reads in pieces, through links that stay inside', async () => {
    await using disk = opaqueDisk(await openFileSource(makeImage([TREE])));
    const { files } = await openImageFiles(disk, { progress: silentProgress });
    const pieces = await collect(fileContent(files, 'var/big'));
    expect(pieces.map(({ length }) => length)).toEqual([MIB, MIB, 3]);
    expect(Buffer.concat(pieces).equals(Buffer.alloc(2 * MIB + 3, 7))).toBe(true);
    expect(Buffer.concat(await collect(fileContent(files, '/etc/link'))).toString()).toBe('one\n');
    await expect(collect(fileContent(files, '/etc'))).rejects.toMatchObject({
      code: 'TSB_GUEST',
      message: expect.stringContaining('is a folder') as string,
    });
    await expect(collect(fileContent(files, '/none'))).rejects.toMatchObject({ code: 'TSB_GUEST' });
  });
});

describe('formatListing', () => {
  const stat = {
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 42,
    size: 1234,
    mtime: 0,
    links: 1,
    id: 12,
  } as const;
  const file = { rawPath: '/d/a\x1b\xff', rawName: 'a\x1b\xff', stat, rawTarget: undefined };
  const line = (
    changes: Partial<Parameters<typeof formatListing>[0]>,
    style: Partial<Parameters<typeof formatListing>[1]>,
  ): string =>
    formatListing({ ...file, ...changes }, { long: false, paths: false, terminal: true, ...style }).toString(
      'latin1',
    );

  it('escapes names on a terminal and leaves them alone elsewhere', () => {
    expect(line({}, {})).toBe('a\\x1b\\xff\n');
    expect(line({}, { terminal: false })).toBe('a\x1b\xff\n');
    expect(line({ rawName: 'Ã©' }, {})).toBe('Ã©\n');
    expect(line({}, { paths: true })).toBe('/d/a\\x1b\\xff\n');
    expect(printableBytes('\xff a')).toBe('\\xff a');
  });

  it('is like ls -ln', () => {
    const long = (changes: object): string =>
      line({ rawName: 'f', stat: { ...stat, ...changes } }, { long: true });
    expect(long({})).toBe('-rw-r--r--   1     0    42        1234 1970-01-01 00:00 f\n');
    expect(long({ type: 'directory', mode: 0o1777 }).slice(0, 10)).toBe('drwxrwxrwt');
    expect(long({ mode: 0o6755 }).slice(0, 10)).toBe('-rwsr-sr-x');
    expect(long({ mode: 0o7000 }).slice(0, 10)).toBe('---S--S--T');
    expect(long({ mtime: 1e15 })).toContain('  ? f');
    const link = { rawName: 'l', rawTarget: '\x07up', stat: { ...stat, type: 'symlink' } as const };
    expect(line(link, { long: true })).toMatch(/^l.* l -> \\x07up\n$/);
    expect(line(link, {})).toBe('l\n');
  });

  it('is told as data', () => {
    expect(listingObject({ ...file, rawPath: '/d/x', rawTarget: 'y' })).toEqual({
      path: '/d/x',
      type: 'file',
      mode: '0644',
      uid: 0,
      gid: 42,
      size: 1234,
      mtime: '1970-01-01T00:00:00.000Z',
      links: 1,
      target: 'y',
    });
    expect(listingObject(file)).toMatchObject({
      path: '/d/a\\x1b\\xff',
      pathBytes: Buffer.from('/d/a\x1b\xff', 'latin1').toString('base64'),
    });
  });
});
