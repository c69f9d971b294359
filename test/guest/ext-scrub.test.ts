import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openExtGuest } from '../../src/guest/ext/open-ext-guest.js';
import type { Guest } from '../../src/guest/guest.js';
import { debugfs, debugfsWrite, fsck, makeExtImage, OFFSET, run } from '../helpers/guest-image.js';

const open = (path: string): Promise<Guest> => openExtGuest(path, { offset: OFFSET });

const SECRET = 'the-secret-word-of-this-test';

const occurrences = (path: string, word = SECRET): number =>
  readFileSync(path).toString('latin1').split(word).length - 1;

const FLAVOURS = [
  { name: 'ext4', type: 'ext4' as const },
  { name: 'ext4 with inline data', type: 'ext4' as const, args: ['-O', 'inline_data', '-I', '256'] },
  { name: 'ext4 with clusters', type: 'ext4' as const, args: ['-O', 'bigalloc', '-C', '16384'] },
  { name: 'ext3', type: 'ext3' as const, args: ['-b', '1024'] },
  { name: 'ext2 with small inodes', type: 'ext2' as const, args: ['-I', '128', '-b', '1024'] },
];

describe.each(FLAVOURS)('scrubbing on $name', ({ type, args }) => {
  it.each([
    ['a large file', `${SECRET}\n`.repeat(60_000)],
    ['a short file', SECRET],
    ['a file that fits into an inode with its attributes', SECRET.repeat(4)],
  ])('leaves nothing of %s in the image', async (_, content) => {
    const path = makeExtImage({ 'etc/secret': content, 'etc/other': 'o' }, { type, args: args ?? [] });
    expect(occurrences(path)).toBeGreaterThan(0);
    await using guest = await open(path);
    await guest.scrub('/etc/secret');
    await guest.writeFile('/etc/new', Buffer.alloc(300_000, 'n'));
    await guest.commit();
    fsck(path);
    expect(occurrences(path)).toBe(0);
    expect(await guest.list('/etc')).toEqual(['new', 'other']);
    expect((await guest.readFile('/etc/new')).equals(Buffer.alloc(300_000, 'n'))).toBe(true);
  });
});

describe('scrubbing', () => {
  it('also overwrites what the file held before it was written or moved in the same commit', async () => {
    const path = makeExtImage({ 'etc/secret': `${SECRET}\n`.repeat(1000), './link': { link: 'etc/secret' } });
    await using guest = await open(path);
    await guest.writeFile('/etc/secret', 'one');
    await guest.writeFile('/etc/secret', 'two');
    await guest.rename('/etc/secret', '/moved');
    await guest.symlink('moved', '/link');
    await guest.scrub('/link');
    await guest.commit();
    fsck(path);
    expect(occurrences(path)).toBe(0);
    expect(await guest.exists('/moved')).toBe(false);
    expect(await guest.readLink('/link')).toBe('moved');
  });

  it('empties the journal, which may hold copies', async () => {
    const path = makeExtImage({ 'etc/secret': 'x' }, { args: ['-b', '1024'] });
    // A block of an old transaction: the journal's blocks after its first.
    const block = Number(debugfs(path, 'bmap <8> 20').trim());
    const disk = openSync(path, 'r+');
    writeSync(disk, SECRET, OFFSET + block * 1024);
    closeSync(disk);
    expect(occurrences(path)).toBe(1);
    await using guest = await open(path);
    await guest.scrub('/etc/secret');
    await guest.commit();
    fsck(path);
    expect(occurrences(path)).toBe(0);
  });

  it('refuses a file with other names and changes nothing then', async () => {
    const path = makeExtImage({ 'etc/secret': SECRET });
    debugfsWrite(path, 'ln /etc/secret /again', 'sif /etc/secret links_count 2');
    const before = readFileSync(path);
    await using guest = await open(path);
    await guest.scrub('/etc/secret');
    await expect(guest.commit()).rejects.toMatchObject({
      code: 'TSB_GUEST',
      details: { path: '/etc/secret' },
    });
    expect(readFileSync(path).equals(before)).toBe(true);
    await guest.remove('/again');
    await guest.commit();
    fsck(path);
    expect(occurrences(path)).toBe(0);
  });

  it('refuses folders, links to nothing and missing files', async () => {
    await using guest = await open(makeExtImage({ 'etc/f': 'x', dead: { link: 'nowhere' } }));
    await expect(guest.scrub('/etc')).rejects.toMatchObject({ details: { reason: 'not-file' } });
    await expect(guest.scrub('/dead')).rejects.toMatchObject({ details: { reason: 'not-found' } });
    await expect(guest.scrub('/no')).rejects.toMatchObject({ details: { reason: 'not-found' } });
  });

  it('never overwrites blocks that are in use, whatever a hostile block map says', async () => {
    const path = makeExtImage(
      { 'etc/evil': 'e'.repeat(8192), 'etc/good': 'g'.repeat(8192) },
      { type: 'ext2', args: ['-b', '1024'] },
    );
    const block = run('debugfs', ['-R', 'bmap /etc/good 0', `${path}?offset=${OFFSET}`]).trim();
    debugfsWrite(path, `sif /etc/evil block[0] ${block}`);
    await using guest = await open(path);
    await guest.scrub('/etc/evil');
    await guest.commit().catch((error: unknown) => expect(error).toMatchObject({ code: 'TSB_FILESYSTEM' }));
    await using again = await open(path);
    expect((await again.readFile('/etc/good')).toString()).toBe('g'.repeat(8192));
  });
});
