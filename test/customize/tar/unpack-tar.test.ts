import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readTar } from '../../../src/customize/tar/read-tar.js';
import { openFileSource } from '../../../src/io/file-source.js';
import { apply, openGuest, treeOf } from '../../helpers/file-operations.js';
import { fsck, makeExtImage, makeTree, run, scratchPath } from '../../helpers/guest-image.js';

/** A header block of ustar with the right checksum. */
function header(fields: {
  name: string;
  flag?: string;
  size?: number;
  link?: string;
  mode?: number;
}): Buffer {
  const block = Buffer.alloc(512);
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0');
  block.write(fields.name, 0);
  block.write(octal(fields.mode ?? 0o644, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(fields.size ?? 0, 11), 124);
  block.write(octal(1_000_000_000, 11), 136);
  block.fill(' ', 148, 156);
  block.write(fields.flag ?? '0', 156);
  block.write(fields.link ?? '', 157);
  block.write('ustar\0' + '00', 257, 'latin1');
  return seal(block);
}

function seal(block: Buffer): Buffer {
  block.fill(' ', 148, 156);
  const sum = block.reduce((all, byte) => all + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

const data = (text: string): Buffer =>
  Buffer.concat([Buffer.from(text), Buffer.alloc((512 - (text.length % 512)) % 512)]);

function archive(...parts: Buffer[]): string {
  const path = scratchPath('made.tar');
  writeFileSync(path, Buffer.concat([...parts, Buffer.alloc(1024)]));
  return path;
}

const GUEST = { lib: { link: 'usr/lib' }, 'usr/lib/old': 'o', 'in/here': 'h', 'etc/secret': 's' };

async function unpack(tar: string, folder = '/in'): Promise<Map<string, string>> {
  const path = makeExtImage(GUEST);
  await using guest = await openGuest(path);
  await apply(guest, 'tar-in', `${tar}:${folder}`);
  await guest.commit();
  fsck(path);
  return await treeOf(guest, folder);
}

/** A folder with everything in it that an archive can hold. */
function sample(): string {
  const folder = makeTree({
    'a/plain': { data: 'plain', mode: 0o640 },
    'a/suid': { data: 'suid', mode: 0o4755 },
    [`a/${'long'.repeat(50)}/${'name'.repeat(40)}`]: 'long',
    'a/ünïcode 😀': 'u',
    'a/link': { link: '../../etc/secret' },
    'a/longlink': { link: 'x/'.repeat(150) },
    'a/empty': { dir: 0o1777 },
    'a/size': Buffer.alloc(70_000, 'q'),
  });
  run('ln', [`${folder}/a/plain`, `${folder}/a/hard`]);
  run('mknod', [`${folder}/a/null`, 'c', '1', '3']);
  run('mkfifo', [`${folder}/a/fifo`]);
  run('chown', ['1234:70000', `${folder}/a/size`]);
  run('chown', ['-h', '5:6', `${folder}/a/link`]);
  return folder;
}

describe('an archive of GNU tar', () => {
  it.each(['gnu', 'posix', 'oldgnu', 'pax'])('in format %s is unpacked as GNU tar does', async (format) => {
    const folder = sample();
    const tar = scratchPath('gnu.tar');
    run('tar', ['-C', folder, `--format=${format}`, '-cf', tar, 'a']);
    const judge = scratchPath('out');
    mkdirSync(judge);
    run('tar', ['-C', judge, '-xpf', tar]);
    await using expected = await openGuest(makeExtImage(judge));
    const wanted = await treeOf(expected);
    wanted.delete('/lost+found');
    const got = await unpack(tar);
    got.delete('/in/here');
    expect(got).toEqual(new Map([...wanted].map(([path, line]) => [`/in${path}`, line])));
    expect(got.size).toBeGreaterThan(10);
  });

  it.each([
    ['gnu', []],
    ['posix', ['--sparse-version=1.0']],
    ['posix', ['--sparse-version=0.1']],
  ])('with holes in format %s %j has the same content', async (format, args) => {
    const folder = makeTree({ 'f/end': Buffer.alloc(5000, 'e') });
    const file = `${folder}/f/holes`;
    writeFileSync(file, '');
    truncateSync(file, 9_000_001);
    for (let at = 0; at < 60; at += 2) {
      run('dd', [`of=${file}`, 'bs=65536', `seek=${at}`, 'count=1', 'conv=notrunc,sync'], `part ${at}`);
    }
    const tar = scratchPath('sparse.tar');
    run('tar', ['-C', folder, `--format=${format}`, ...args, '-S', '-cf', tar, 'f']);
    expect(readFileSync(tar).length).toBeLessThan(3_000_000);
    const path = makeExtImage(GUEST);
    await using guest = await openGuest(path);
    await apply(guest, 'tar-in', `${tar}:/in`);
    await guest.commit();
    expect((await guest.readFile('/in/f/holes')).equals(readFileSync(file))).toBe(true);
    expect((await guest.stat('/in/f/end')).size).toBe(5000);
  });

  it('gives extended attributes, times and large numbers', async () => {
    const folder = makeTree({ 'd/f': 'x' });
    run('touch', ['-d', '@1000000000', `${folder}/d/f`, `${folder}/d`]);
    const tar = scratchPath('pax.tar');
    const pax = ['--pax-option=SCHILY.xattr.user.key:=value', '--pax-option=SCHILY.xattr.odd:=v'];
    run('tar', [
      '-C',
      folder,
      '--format=posix',
      ...pax,
      '--owner=:3000000',
      '--group=:4294967000',
      '-cf',
      tar,
      'd',
    ]);
    const path = makeExtImage(GUEST);
    await using guest = await openGuest(path);
    const warnings = await apply(guest, 'tar-in', `${tar}:/in`);
    await guest.commit();
    fsck(path);
    expect(warnings.join()).toContain('odd');
    expect(await guest.stat('/in/d/f')).toMatchObject({
      uid: 3_000_000,
      gid: 4_294_967_000,
      mtime: 1_000_000_000,
    });
    expect((await guest.stat('/in/d')).mtime).toBe(1_000_000_000);
    expect((await guest.getXattrs('/in/d/f')).get('user.key')?.toString()).toBe('value');
  });
});

describe('unpacking', () => {
  it('replaces files, follows links of the guest to folders and keeps those', async () => {
    const tar = archive(
      header({ name: 'lib/', flag: '5', mode: 0o755 }),
      header({ name: 'lib/new', size: 3 }),
      data('new'),
      header({ name: '/./in//here', size: 1 }),
      data('H'),
      header({ name: 'made/on/the/way', size: 1 }),
      data('w'),
    );
    const tree = await unpack(tar, '/');
    expect(tree.get('/lib')).toBe('symlink 777 0:0 -> usr/lib');
    expect(tree.get('/usr/lib/new')).toBe('file 644 0:0 "new"');
    expect(tree.get('/usr/lib/old')).toBe('file 644 0:0 "o"');
    expect(tree.get('/in/here')).toBe('file 644 0:0 "H"');
    expect(tree.get('/made/on/the')).toBe('directory 755 0:0');
  });

  const HOSTILE: Record<string, Buffer[]> = {
    'a name with ..': [header({ name: '../x' })],
    'a name with .. inside': [header({ name: 'a/../../x' })],
    'a hard link to ..': [header({ name: 'x', flag: '1', link: '../etc/secret' })],
    'a member through its own link': [
      header({ name: 'l', flag: '2', link: '/etc' }),
      header({ name: 'l/x' }),
    ],
    'a folder through its own link': [
      header({ name: 'l', flag: '2', link: '/' }),
      header({ name: 'l/etc/', flag: '5' }),
    ],
    'a hard link through its own link': [
      header({ name: 'l', flag: '2', link: '/etc' }),
      header({ name: 'x', flag: '1', link: 'l/secret' }),
    ],
    'a long name that is long indeed': [header({ name: 'L', flag: 'L', size: 2 ** 31 })],
    'a malformed extended header': [
      header({ name: 'x', flag: 'x', size: 9 }),
      data('99 a=b\n..'),
      header({ name: 'y' }),
    ],
    'an extended header with a size that is none': [
      header({ name: 'x', flag: 'x', size: 10 }),
      data('10 size=x\n'),
      header({ name: 'y' }),
    ],
    'a negative size': [seal(Object.assign(header({ name: 'x' }), {})).fill(0xff, 124, 136)],
    'more content than there is': [header({ name: 'x', size: 5_000_000 })],
    'a type that nobody knows': [header({ name: 'x', flag: 'Q' })],
    'no header': [Buffer.alloc(512, 'x')],
    'a name that is no UTF-8': [seal(Object.assign(header({ name: 'x' }), { 0: 0xff }))],
    'a hard link to nothing': [header({ name: 'x', flag: '1', link: 'nothing' })],
  };

  it.each(Object.keys(HOSTILE))('refuses %s and changes nothing outside its folder', async (what) => {
    const path = makeExtImage(GUEST);
    const before = readFileSync(path);
    await using guest = await openGuest(path);
    const failure = apply(guest, 'tar-in', `${archive(...(HOSTILE[what] ?? []))}:/in`);
    await expect(failure).rejects.toMatchObject({
      code: expect.stringMatching(/^TSB_(USAGE|GUEST)$/) as string,
    });
    expect((await guest.readFile('/etc/secret')).toString()).toBe('s');
    expect(await guest.list('/etc')).toEqual(['secret']);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it('does not follow a link when it replaces it, and a folder takes the place of a link it made', async () => {
    const tree = await unpack(
      archive(
        header({ name: 'l', flag: '2', link: '/etc/secret' }),
        header({ name: 'l', size: 1 }),
        data('L'),
        header({ name: 'd', flag: '2', link: '/etc' }),
        header({ name: 'd/', flag: '5', mode: 0o700 }),
        header({ name: 'd/x', size: 1 }),
        data('X'),
      ),
      '/',
    );
    expect(tree.get('/l')).toBe('file 644 0:0 "L"');
    expect(tree.get('/d')).toBe('directory 700 0:0');
    expect(tree.get('/d/x')).toBe('file 644 0:0 "X"');
    expect(tree.get('/etc/secret')).toBe('file 644 0:0 "s"');
  });

  it.each(['gzip', 'xz', 'zstd', 'bzip2'])(
    'says of an archive compressed by %s that it is',
    async (program) => {
      const path = scratchPath('compressed');
      writeFileSync(
        path,
        execFileSync(program, ['-c'], { input: readFileSync(archive(header({ name: 'x' }))) }),
      );
      await using guest = await openGuest(makeExtImage(GUEST));
      await expect(apply(guest, 'tar-in', `${path}:/in`)).rejects.toMatchObject({
        code: 'TSB_USAGE',
        message: expect.stringContaining(program) as string,
      });
    },
  );
});

describe('reading an archive', () => {
  it('ends with an error or an end, whatever the bytes', async () => {
    const folder = sample();
    const tar = scratchPath('fuzz.tar');
    run('tar', ['-C', folder, '--format=posix', '-S', '-cf', tar, 'a']);
    const good = readFileSync(tar);
    const broken = scratchPath('broken.tar');
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 20 }),
        fc.nat(good.length),
        async (changes, length) => {
          const bytes = Buffer.from(good.subarray(0, length));
          for (const [at, value] of changes) if (at < length) bytes[at] = value;
          // Checksums are made right, or nothing behind them would ever be looked at.
          for (let at = 0; at + 512 <= length; at += 512) {
            const block = bytes.subarray(at, at + 512);
            if (block.toString('latin1', 257, 262) === 'ustar') seal(block);
          }
          writeFileSync(broken, bytes);
          await using source = await openFileSource(broken);
          let total = 0;
          try {
            for await (const entry of readTar(source, { warn: () => undefined }))
              for await (const piece of entry.content()) total += piece.length;
          } catch (error) {
            expect(error).toMatchObject({ code: 'TSB_USAGE' });
          }
          expect(total).toBeLessThanOrEqual(64 * 1024 ** 3);
        },
      ),
      { numRuns: 150 },
    );
  });
});
