import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type FileOperationName, apply, applyAll, openGuest } from '../../helpers/file-operations.js';
import {
  debugfs,
  debugfsWrite,
  fsck,
  makeExtImage,
  makeTree,
  scratchPath,
} from '../../helpers/guest-image.js';

const TREE = { 'etc/hosts': '127.0.0.1 localhost\n', 'dir/sub/c': 'c', 'etc/link': { link: 'hosts' } };

describe('a hostile or damaged guest', () => {
  const OPERATIONS: [FileOperationName, string][] = [
    ['write', '/etc/hostname:x'],
    ['append-line', '/etc/hosts:x'],
    ['mkdir', '/etc/a/b'],
    ['upload', '/etc/hostname:/etc/up'],
    ['touch', '/etc/t'],
  ];

  it('whose /etc leads out of it is changed inside only', async () => {
    const before = readFileSync('/etc/hostname', 'utf8');
    const path = makeExtImage({ etc: { link: '/../../real' }, 'real/hosts': 'h\n' });
    await applyAll(path, OPERATIONS);
    fsck(path);
    expect(debugfs(path, 'cat /real/hostname')).toBe('x');
    expect(debugfs(path, 'cat /real/hosts')).toBe('h\nx\n');
    expect(readFileSync('/etc/hostname', 'utf8')).toBe(before);
  });

  it.each(['a"b', "a'b", 'a b', '<12>', 'a;rm', '-f', '\\x', 'ü€😀', 'n'.repeat(255), '$(x)', '"', 'a\tb'])(
    'has the name %j',
    async (name) => {
      const path = makeExtImage({ 'etc/hosts': 'h' });
      await applyAll(path, [
        ['write', `/etc/${name}:one`],
        ['append-line', `/etc/${name}:two`],
        ['chmod', `0600:/etc/${name}`],
        ['mkdir', `/${name}/in`],
        ['mkdir', '/new'],
        ['copy', `/etc/${name}:/new/${name}`],
        ['link', `${name}:/new/l`],
        ['move', `/etc/${name}:/new`],
        ['truncate', `/new/${name}`],
      ]);
      fsck(path);
      await using guest = await openGuest(path);
      expect(await guest.list('/etc')).toEqual(['hosts']);
      expect(await guest.list('/new')).toEqual(['l', name].sort());
      expect(await guest.stat(`/new/${name}`)).toMatchObject({ mode: 0o600, size: 0 });
      expect(await guest.readLink('/new/l')).toBe(name);
    },
  );

  it.each([
    ['a line break', '/etc/a\nb'],
    ['a carriage return', '/etc/a\rb'],
  ])('cannot get a name with %s, and is not changed then', async (_, name) => {
    const path = makeExtImage(TREE);
    const before = readFileSync(path);
    await expect(applyAll(path, [['write', `${name}:x`]])).rejects.toMatchObject({ code: 'TSB_GUEST' });
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it('cannot get a name of 256 bytes', async () => {
    await using guest = await openGuest(makeExtImage(TREE));
    await expect(apply(guest, 'write', `/${'n'.repeat(256)}:x`)).rejects.toMatchObject({ code: 'TSB_GUEST' });
  });

  it('is not changed when it is full', async () => {
    const path = makeExtImage(TREE, { mib: 4 });
    const before = readFileSync(path);
    const local = scratchPath('big');
    writeFileSync(local, Buffer.alloc(5_000_000, 1));
    await expect(
      applyAll(path, [
        ['write', '/first:x'],
        ['upload', `${local}:/big`],
      ]),
    ).rejects.toMatchObject({ code: 'TSB_NO_SPACE' });
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it('is recovered first when its journal is dirty', async () => {
    const path = makeExtImage(TREE);
    debugfsWrite(path, 'ssv state 0');
    await applyAll(path, OPERATIONS);
    fsck(path);
    expect(debugfs(path, 'cat /etc/hostname')).toBe('x');
  });

  it('is refused when it is corrupt, and not changed', async () => {
    const path = makeExtImage(TREE);
    debugfsWrite(path, 'sif /etc block[0] 0', 'sif /etc block[1] 0');
    const before = readFileSync(path);
    await expect(applyAll(path, OPERATIONS)).rejects.toMatchObject({ code: 'TSB_FILESYSTEM' });
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it('says no to a name that is no UTF-8 rather than leaving it out', async () => {
    const folder = makeTree({ 'd/ok': '1' });
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/d/`), Buffer.from([0x62, 0xff])]), 'x');
    const path = makeExtImage(folder);
    await using guest = await openGuest(path);
    for (const [name, text] of [
      ['copy', '/d:/e'],
      ['truncate-recursive', '/d'],
      ['delete', '/d/*'],
    ] as const) {
      await expect(apply(guest, name, text)).rejects.toMatchObject({
        message: expect.stringContaining('("b\\xff")') as string,
        details: { reason: 'unsupported' },
      });
    }
    await expect(apply(guest, 'copy-in', `${folder}/d:/`)).rejects.toMatchObject({ code: 'TSB_USAGE' });
    await apply(guest, 'delete', '/d');
    await guest.commit();
    fsck(path);
  });
});

it('folders as deep as a path can say are made, copied and deleted', async () => {
  const path = makeExtImage({}, { args: ['-N', '8192'], mib: 48 });
  const deep = '/d'.repeat(2047);
  await applyAll(path, [['mkdir', deep]]);
  await using guest = await openGuest(path);
  expect((await guest.stat(deep)).type).toBe('directory');
  await expect(apply(guest, 'mkdir', `${deep}/x`)).rejects.toThrow(/4096 bytes, the limit is 4095/);
  await apply(guest, 'copy', `${'/d'.repeat(1600)}:/copy`);
  await guest.commit();
  fsck(path);
  expect((await guest.stat(`/copy${'/d'.repeat(447)}`)).type).toBe('directory');
  await apply(guest, 'delete', '/{copy,d}');
  await guest.commit();
  fsck(path);
  expect(await guest.list('/')).toEqual(['lost+found']);
});
