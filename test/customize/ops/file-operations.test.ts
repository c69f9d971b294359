import { describe, expect, it } from 'vitest';
import {
  NOW,
  apply,
  applyAll,
  openGuest,
  treeOf,
  type FileOperationName,
} from '../../helpers/file-operations.js';
import { fsck, makeExtImage } from '../../helpers/guest-image.js';

const TREE = {
  'etc/hosts': '127.0.0.1 localhost\n',
  'etc/dos': { data: 'one\r\ntwo', mode: 0o600 },
  'etc/mac': 'one\rtwo\r',
  'etc/none': 'no end',
  'etc/empty': '',
  'etc/suid': { data: 'program', mode: 0o6755 },
  'etc/link': { link: 'hosts' },
  'etc/passwd': { link: '../../../../etc/passwd' },
  'dir/a': 'a',
  'dir/b': 'b',
  'dir/.hidden': 'h',
  'dir/sub/c': 'c',
  'dir/l': { link: 'a' },
  'dir/up': { link: '..' },
  'other/dir/x': 'x',
  void: { dir: 0o711 },
  dirlink: { link: 'dir' },
  dead: { link: 'nowhere/x' },
};

/** What the operations change in a disk of TREE: lines that are gone, and lines that are new. */
async function changes(
  ...operations: [FileOperationName, string][]
): Promise<{ gone: string[]; added: string[] }> {
  const path = makeExtImage(TREE);
  await using before = await openGuest(path);
  const old = await treeOf(before);
  await applyAll(path, operations);
  fsck(path);
  await using after = await openGuest(path);
  const now = await treeOf(after);
  const lines = (tree: Map<string, string>): string[] => [...tree].map(([name, line]) => `${name} ${line}`);
  return {
    gone: lines(old).filter((line) => !lines(now).includes(line)),
    added: lines(now).filter((line) => !lines(old).includes(line)),
  };
}

const OK: [FileOperationName, string, { gone?: string[]; added?: string[] }][] = [
  ['append-line', '/etc/hosts:x', { added: ['/etc/hosts file 644 0:0 "127.0.0.1 localhost\\nx\\n"'] }],
  ['append-line', '/etc/link:x', { added: ['/etc/hosts file 644 0:0 "127.0.0.1 localhost\\nx\\n"'] }],
  ['append-line', '/etc/dos:x', { added: ['/etc/dos file 600 0:0 "one\\r\\ntwo\\r\\nx\\r\\n"'] }],
  ['append-line', '/etc/mac:x', { added: ['/etc/mac file 644 0:0 "one\\rtwo\\rx\\r"'] }],
  ['append-line', '/etc/none:', { added: ['/etc/none file 644 0:0 "no end\\n\\n"'] }],
  ['append-line', '/etc/empty:x', { added: ['/etc/empty file 644 0:0 "x\\n"'] }],
  ['append-line', '/new:x', { added: ['/new file 644 0:0 "x\\n"'] }],
  ['chmod', '0600:/etc/link', { added: ['/etc/hosts file 600 0:0 "127.0.0.1 localhost\\n"'] }],
  ['chmod', '448:/void', { added: ['/void directory 700 0:0'] }],
  ['chmod', '07777:/void', { added: ['/void directory 7777 0:0'] }],
  ['chown', '1000:70000:/etc/suid', { added: ['/etc/suid file 755 1000:70000 "program"'] }],
  ['chown', '1:2:/void', { added: ['/void directory 711 1:2'] }],
  ['copy', '/etc/dos:/void', { added: ['/void/dos file 600 0:0 "one\\r\\ntwo"'] }],
  ['copy', '/etc/dos:/dirlink', { added: ['/dir/dos file 600 0:0 "one\\r\\ntwo"'] }],
  ['copy', '/etc/suid:/etc/link', { added: ['/etc/hosts file 6755 0:0 "program"'] }],
  ['copy', '/dirlink:/void', { added: ['/void/dirlink symlink 777 0:0 -> dir'] }],
  [
    'copy',
    '/dir:/other',
    {
      added: [
        '/other/dir/.hidden file 644 0:0 "h"',
        '/other/dir/a file 644 0:0 "a"',
        '/other/dir/b file 644 0:0 "b"',
        '/other/dir/l symlink 777 0:0 -> a',
        '/other/dir/sub directory 755 0:0',
        '/other/dir/sub/c file 644 0:0 "c"',
        '/other/dir/up symlink 777 0:0 -> ..',
      ],
    },
  ],
  ['delete', '/dir/[ab]', { gone: ['/dir/a file 644 0:0 "a"', '/dir/b file 644 0:0 "b"'] }],
  ['delete', '/dir/{b,zz,.h*}', { gone: ['/dir/.hidden file 644 0:0 "h"', '/dir/b file 644 0:0 "b"'] }],
  ['delete', '/void/', { gone: ['/void directory 711 0:0'] }],
  ['delete', '/d*k', { gone: ['/dirlink symlink 777 0:0 -> dir'] }],
  ['delete', '/dirlink/sub', { gone: ['/dir/sub directory 755 0:0', '/dir/sub/c file 644 0:0 "c"'] }],
  ['delete', '/no/such*', {}],
  ['edit', '/etc/dos:s/(\\w+)/<$1>/', { added: ['/etc/dos file 600 0:0 "<one>\\r\\n<two>"'] }],
  [
    'edit',
    '/etc/hosts:$_ = "$lineno $_" # ok',
    { added: ['/etc/hosts file 644 0:0 "1 127.0.0.1 localhost\\n"'] },
  ],
  ['edit', '/etc/link:$_ = ""', { added: ['/etc/hosts file 644 0:0 ""'] }],
  ['edit', '/etc/suid:s/none/x/', {}],
  [
    'link',
    '../t:/void/a:/etc/link:/void',
    {
      added: [
        '/etc/link symlink 777 0:0 -> ../t',
        '/void/a symlink 777 0:0 -> ../t',
        '/void/t symlink 777 0:0 -> ../t',
      ],
    },
  ],
  ['mkdir', '/void/x/y', { added: ['/void/x directory 755 0:0', '/void/x/y directory 755 0:0'] }],
  ['mkdir', '/dir', {}],
  [
    'move',
    '/etc/dos:/void',
    { added: ['/void/dos file 600 0:0 "one\\r\\ntwo"'], gone: ['/etc/dos file 600 0:0 "one\\r\\ntwo"'] },
  ],
  ['move', '/etc/suid:/etc/link', { added: ['/etc/link file 6755 0:0 "program"'] }],
  [
    'move',
    '/void:/other/dir/x2',
    { added: ['/other/dir/x2 directory 711 0:0'], gone: ['/void directory 711 0:0'] },
  ],
  ['scrub', '/etc/link', { gone: ['/etc/hosts file 644 0:0 "127.0.0.1 localhost\\n"'] }],
  ['touch', '/void/new', { added: ['/void/new file 644 0:0 ""'] }],
  ['touch', '/etc/dos', {}],
  ['truncate', '/etc/suid', { added: ['/etc/suid file 6755 0:0 ""'] }],
  [
    'truncate-recursive',
    '/dirlink',
    {
      added: [
        '/dir/.hidden file 644 0:0 ""',
        '/dir/a file 644 0:0 ""',
        '/dir/b file 644 0:0 ""',
        '/dir/sub/c file 644 0:0 ""',
      ],
    },
  ],
  ['write', '/void/n:a:b\n', { added: ['/void/n file 644 0:0 "a:b\\n"'] }],
  ['write', '/etc/dos:x', { added: ['/etc/dos file 600 0:0 "x"'] }],
];

describe('an operation', () => {
  it.each(OK)('--%s %s does this and nothing else', async (name, text, wanted) => {
    const { gone, added } = await changes([name, text]);
    expect(added).toEqual(wanted.added ?? []);
    if (wanted.gone) expect(gone.filter((line) => !line.startsWith('/etc/link'))).toEqual(wanted.gone);
  });

  const FAILS: [FileOperationName, string, string][] = [
    ['append-line', '/dir:x', 'not-file'],
    ['append-line', '/no/such:x', 'not-found'],
    ['append-line', '/dead:x', 'not-found'],
    ['append-line', '/etc/hosts/x:x', 'not-folder'],
    ['chmod', '0600:/no', 'not-found'],
    ['chmod', '0600:/dead', 'not-found'],
    ['chown', '1:1:/no', 'not-found'],
    ['copy', '/no:/x', 'not-found'],
    ['copy', '/etc/hosts:/no/x', 'not-found'],
    ['copy', '/etc/hosts:/dead', 'not-found'],
    ['copy', '/dir:/etc/hosts', 'not-folder'],
    ['copy', '/dir:/dir/sub', 'unsupported'],
    ['copy', '/dir:/dirlink/sub', 'unsupported'],
    ['copy', '/:/void', 'unsupported'],
    ['copy-in', '/etc/hostname:/no', 'not-folder'],
    ['copy-in', '/etc/hostname:/etc/hosts', 'not-folder'],
    ['edit', '/no:1', 'not-found'],
    ['edit', '/dir:1', 'not-file'],
    ['link', 'x:/no/l', 'not-found'],
    ['mkdir', '/etc/hosts', 'not-folder'],
    ['mkdir', '/etc/hosts/x', 'not-folder'],
    ['move', '/no:/x', 'not-found'],
    ['move', '/dir:/dir/sub', 'unsupported'],
    ['move', '/dir:/etc/hosts', 'not-folder'],
    ['move', '/dir:/other', 'not-empty'],
    ['move', '/etc/hosts:/no/x', 'not-found'],
    ['scrub', '/dir', 'not-file'],
    ['scrub', '/dead', 'not-found'],
    ['tar-in', '/dev/null:/no', 'not-folder'],
    ['touch', '/dir', 'not-file'],
    ['touch', '/no/x', 'not-found'],
    ['truncate', '/no', 'not-found'],
    ['truncate', '/dir', 'not-file'],
    ['truncate', '/dead', 'not-found'],
    ['truncate-recursive', '/no', 'not-found'],
    ['truncate-recursive', '/etc/hosts', 'not-folder'],
    ['upload', '/etc/hostname:/no/x', 'not-found'],
    ['upload', '/etc/hostname:/no/', 'not-folder'],
    ['write', '/dir:x', 'not-file'],
    ['write', '/no/x:x', 'not-found'],
    ['write', '/dead:x', 'not-found'],
    ['write', '/etc/passwd:x', 'loop'],
  ];

  it.each(FAILS)('--%s %s is an error (%s)', async (name, text, reason) => {
    const tree = { ...TREE, ...(reason === 'loop' ? { 'etc/passwd': { link: 'passwd' } } : {}) };
    await using guest = await openGuest(makeExtImage(tree));
    await expect(apply(guest, name, text)).rejects.toMatchObject({ code: 'TSB_GUEST', details: { reason } });
  });

  it('tells of what is probably a mistake', async () => {
    const path = makeExtImage(TREE);
    expect(await applyAll(path, [['chmod', '755:/void']])).toEqual([expect.stringContaining('01363')]);
    expect(await applyAll(path, [['delete', '/nothing*']])).toEqual([expect.stringContaining('nothing')]);
    expect(await applyAll(path, [['chmod', '0755:/void']])).toEqual([]);
  });

  it('keeps times: touch sets the present one, copy the old one', async () => {
    const path = makeExtImage(TREE);
    await using guest = await openGuest(path);
    await guest.setTime('/etc/hosts', 1_000_000_000);
    await apply(guest, 'copy', '/etc/hosts:/void/h');
    await apply(guest, 'copy', '/etc:/void/etc');
    await apply(guest, 'touch', '/etc/hosts');
    await guest.commit();
    expect((await guest.stat('/void/h')).mtime).toBe(1_000_000_000);
    expect((await guest.stat('/void/etc')).mtime).toBe((await guest.stat('/etc')).mtime);
    expect((await guest.stat('/etc/hosts')).mtime).toBe(NOW);
  });

  it('copies attributes, hard links, devices and large files', async () => {
    const path = makeExtImage({
      'src/big': Buffer.alloc(3_000_000, 'xyz'),
      'src/one': '1',
      to: { dir: 0o755 },
    });
    await using guest = await openGuest(path);
    await guest.hardLink('/src/one', '/src/two');
    await guest.makeNode('/src/null', { type: 'character', device: { major: 1, minor: 3 } });
    await guest.setXattr('/src/one', 'user.k', Buffer.from('v'));
    await guest.commit();
    await apply(guest, 'copy', '/src:/to');
    await guest.commit();
    fsck(path);
    expect((await guest.readFile('/to/src/big')).equals(Buffer.alloc(3_000_000, 'xyz'))).toBe(true);
    expect((await guest.stat('/to/src/one')).links).toBe(2);
    expect((await guest.stat('/to/src/one')).id).toBe((await guest.stat('/to/src/two')).id);
    expect((await guest.getXattrs('/to/src/two')).get('user.k')?.toString()).toBe('v');
    expect((await guest.stat('/to/src/null')).device).toEqual({ major: 1, minor: 3 });
  });
});

it('chmod doubts decimal numbers that make sense as octal ones only', async () => {
  await using guest = await openGuest(makeExtImage({ f: 'x' }));
  const doubted = async (text: string): Promise<boolean> =>
    (await apply(guest, 'chmod', `${text}:/f`)).some((warning) => warning.includes(`did you mean 0${text}?`));
  for (const text of ['644', '755', '600', '1777']) expect([text, await doubted(text)]).toEqual([text, true]);
  for (const text of ['420', '493', '0644', '7']) expect([text, await doubted(text)]).toEqual([text, false]);
});
