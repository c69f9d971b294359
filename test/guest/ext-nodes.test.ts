import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { openExtGuest } from '../../src/guest/ext/open-ext-guest.js';
import type { Guest } from '../../src/guest/guest.js';
import { OFFSET, debugfs, debugfsWrite, fsck, makeExtImage } from '../helpers/guest-image.js';

const open = (path: string): Promise<Guest> => openExtGuest(path, { offset: OFFSET });

const spools = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('tsbuilder-spool-'));

describe('special files', () => {
  it('are made, read and kept through a rename', async () => {
    const path = makeExtImage({ 'dev/old': '' });
    await using guest = await open(path);
    const attributes = { mode: 0o600, uid: 1, gid: 2, mtime: 1_000_000_000 };
    await guest.makeNode('/dev/null', { type: 'character', device: { major: 1, minor: 3 } }, attributes);
    await guest.makeNode('/dev/old', { type: 'block', device: { major: 259, minor: 60_000 } });
    await guest.makeNode('/dev/pipe', { type: 'fifo' });
    await guest.symlink('null', '/dev/link', { uid: 5, gid: 6, mtime: 1_100_000_000 });
    await guest.commit();
    fsck(path);
    expect(debugfs(path, 'stat /dev/null')).toMatch(
      /Type: character special {4}Mode: {2}0600 [^]*User: {5}1 {3}Group: {5}2/,
    );
    expect(debugfs(path, 'stat /dev/null')).toContain('01:03');
    expect(debugfs(path, 'stat /dev/pipe')).toContain('Type: FIFO');
    await guest.rename('/dev/old', '/dev/new');
    await guest.commit();
    fsck(path);
    expect(await guest.stat('/dev/new')).toMatchObject({
      type: 'block',
      device: { major: 259, minor: 60_000 },
    });
    expect(await guest.stat('/dev/null')).toMatchObject({ ...attributes, device: { major: 1, minor: 3 } });
    expect(await guest.lstat('/dev/link')).toMatchObject({ uid: 5, gid: 6, mtime: 1_100_000_000 });
  });

  it.each([4096, -1, 1.5])('cannot have %d for a major number', async (major) => {
    await using guest = await open(makeExtImage({ 'dev/f': '' }));
    await expect(
      guest.makeNode('/dev/x', { type: 'block', device: { major, minor: 1 } }),
    ).rejects.toMatchObject({ code: 'TSB_GUEST' });
  });
});

describe('content from a stream', () => {
  it('may come from the guest itself, as it was at that time, and leaves no temporary files', async () => {
    const big = Buffer.concat([
      Buffer.alloc(200_000, 'a'),
      Buffer.alloc(2_000_000),
      Buffer.alloc(70_001, 'z'),
    ]);
    const path = makeExtImage({ 'var/big': big, 'var/small': 's' });
    const before = spools();
    {
      await using guest = await open(path);
      const pieces = async function* (from: string, size: number): AsyncGenerator<Uint8Array> {
        for (let at = 0; at < size; at += 50_000) yield await guest.readRange(from, at, 50_000);
      };
      await guest.writeFile('/copy', pieces('/var/big', big.length), { mode: 0o640 });
      await guest.writeFile('/copy2', pieces('/var/small', 1));
      await guest.remove('/var/big');
      await guest.writeFile('/var/small', 'changed');
      expect((await guest.readFile('/copy')).equals(big)).toBe(true);
      await guest.commit();
      expect((await guest.readFile('/copy')).equals(big)).toBe(true);
      expect((await guest.readFile('/copy2')).toString()).toBe('s');
    }
    fsck(path);
    // The zeros in the middle take no room.
    const blocks = Number(/Blockcount: (\d+)/.exec(debugfs(path, 'stat /copy'))?.[1]);
    expect(blocks * 512).toBeLessThan(400_000);
    expect(spools()).toEqual(before);
  });

  it('leaves nothing when it fails', async () => {
    const before = spools();
    await using guest = await open(makeExtImage({ f: '' }));
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(100_000, 1);
      throw await Promise.resolve(new Error('the source broke'));
    };
    await expect(guest.writeFile('/new', broken())).rejects.toThrow('the source broke');
    expect(await guest.exists('/new')).toBe(false);
    await guest[Symbol.asyncDispose]();
    expect(spools()).toEqual(before);
  });
});

describe('files protected by chattr', () => {
  const make = (): string => {
    const path = makeExtImage({
      'etc/fixed': 'f',
      'etc/log': 'l',
      'dir/in': 'i',
      'grow/in': 'i',
      other: 'o',
    });
    // The flags 0x10 and 0x20, beside the one for extents.
    debugfsWrite(path, 'sif /etc/fixed flags 0x80010', 'sif /etc/log flags 0x80020');
    debugfsWrite(path, 'sif /dir flags 0x80010', 'sif /grow flags 0x80020');
    return path;
  };

  const EDITS: Record<string, (guest: Guest) => Promise<void>> = {
    'written to': (guest) => guest.writeFile('/etc/fixed', 'x'),
    'written to when append-only': (guest) => guest.writeFile('/etc/log', 'x'),
    removed: (guest) => guest.remove('/etc/fixed'),
    'removed with their folder': (guest) => guest.remove('/etc', { recursive: true }),
    scrubbed: (guest) => guest.scrub('/etc/fixed'),
    moved: (guest) => guest.rename('/etc/fixed', '/x'),
    'moved over': (guest) => guest.rename('/other', '/etc/fixed'),
    linked: (guest) => guest.hardLink('/etc/fixed', '/x'),
    'replaced by a link': (guest) => guest.symlink('x', '/etc/fixed'),
    'given a mode': (guest) => guest.chmod('/etc/fixed', 0o777),
    'given an owner': (guest) => guest.chown('/etc/log', { uid: 1, gid: 1 }),
    'given an attribute': (guest) => guest.setXattr('/etc/fixed', 'user.a', Buffer.from('1')),
    'added to a folder': (guest) => guest.writeFile('/dir/new', 'x'),
    'made as folders in one': (guest) => guest.mkdir('/dir/new/more', { parents: true }),
    'removed from a folder': (guest) => guest.remove('/dir/in'),
    'removed from an append-only folder': (guest) => guest.remove('/grow/in'),
  };

  it.each(Object.keys(EDITS))('cannot be %s', async (what) => {
    await using guest = await open(make());
    await expect(EDITS[what]?.(guest)).rejects.toMatchObject({
      code: 'TSB_GUEST',
      details: { reason: 'immutable' },
    });
  });

  it('can be read, have their content changed as folders, and an append-only folder grows', async () => {
    const path = make();
    await using guest = await open(path);
    await guest.writeFile('/grow/new', 'x');
    await guest.writeFile('/dir/in', 'y');
    await guest.chmod('/dir/in', 0o600);
    await guest.commit();
    fsck(path);
    expect(await guest.stat('/dir/in')).toMatchObject({ mode: 0o600 });
    expect(await guest.list('/grow')).toEqual(['in', 'new']);
  });
});
