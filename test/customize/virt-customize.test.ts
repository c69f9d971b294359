import { execFile } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { type FileOperationName, applyAll, openGuest, treeOf } from '../helpers/file-operations.js';
import { makeExtImage, run, scratchPath } from '../helpers/guest-image.js';
import { GUEST_TREES } from '../helpers/guest-trees.js';

const TREE = {
  ...GUEST_TREES.DEBIAN_12,
  'etc/hosts': '127.0.0.1 localhost\n',
  'srv/dos': { data: 'one\r\ntwo', mode: 0o600 },
  'srv/end': 'no end',
  'srv/link': { link: 'end' },
  'srv/suid': { data: 'program', mode: 0o4755 },
  'srv/dir/a': 'a',
  'srv/dir/.hidden': 'h',
  'srv/dir/sub/c': 'c',
  'srv/dir/l': { link: 'a' },
  'srv/logs/1.log': '1',
  'srv/logs/2.log': '2',
  'srv/logs/3.txt': '3',
  'srv/linked/x': 'x',
  'srv/dirlink': { link: 'linked' },
  'srv/cut/one': '1',
  'srv/cut/deep/two': { data: '22', mode: 0o400 },
  'srv/cut/l': { link: '../end' },
  'srv/old': 'old',
  'srv/editlink': { link: 'dos' },
  'srv/secret': 'secret',
  'srv/gone/x': 'x',
  'srv/gonelink': { link: 'gone' },
};

/** Files of this machine: a folder for copy-in and a file for upload. */
function makeLocal(): { folder: string; file: string } {
  const folder = scratchPath('local');
  mkdirSync(`${folder}/sub`, { recursive: true });
  writeFileSync(`${folder}/one`, '1', { mode: 0o640 });
  run('ln', [`${folder}/one`, `${folder}/hard`]);
  symlinkSync('one', `${folder}/link`);
  run('mkfifo', [`${folder}/fifo`]);
  run('mknod', [`${folder}/null`, 'c', '1', '3']);
  chownSync(`${folder}/sub`, 12345, 54321);
  chmodSync(`${folder}/sub`, 0o2750);
  const file = scratchPath('upload me');
  writeFileSync(file, 'uploaded');
  chownSync(file, 12345, 54321);
  chmodSync(file, 0o4751);
  return { folder, file };
}

/** What virt-customize 1.48 knows (it has no chown and no tar-in). */
function operations(local: { folder: string; file: string }): [FileOperationName, string][] {
  return [
    ['append-line', '/etc/hosts:10.0.0.1 a:b'],
    ['append-line', '/srv/dos:three'],
    ['append-line', '/srv/link:more'],
    ['append-line', '/srv/made:first'],
    ['chmod', '0750:/srv/dir'],
    ['chmod', '384:/srv/dir/a'],
    ['copy', '/srv/dir:/srv/copied'],
    ['copy', '/srv/dir:/srv/linked'],
    ['copy', '/srv/suid:/srv/dirlink'],
    ['copy-in', `${local.folder}:/srv`],
    ['copy-in', `${local.folder}/.:/srv/linked`],
    ['delete', '/srv/logs/*.log'],
    ['delete', '/srv/copied/sub'],
    ['delete', '/srv/not-there*'],
    ['edit', '/srv/dos:s/^(\\w+)/$lineno:$1/'],
    ['link', '../target:/srv/l1:/srv/l2:/srv/linked'],
    ['link', 'again:/srv/l1'],
    ['mkdir', '/srv/new/folder'],
    ['mkdir', '/srv/dir'],
    ['move', '/srv/old:/srv/logs'],
    ['move', '/srv/linked:/srv/renamed'],
    ['touch', '/srv/touched'],
    ['touch', '/srv/end'],
    ['truncate', '/srv/suid'],
    ['truncate-recursive', '/srv/cut'],
    ['upload', `${local.file}:/srv/renamed`],
    ['upload', `${local.file}:/srv/end`],
    ['write', '/srv/w:line\nline'],
    ['write', '/srv/dir/a:x:y'],
    ['delete', '/srv/gonel*'],
    ['scrub', '/srv/secret'],
    ['edit', '/srv/editlink:$_ = uc'],
  ];
}

/** What we have, and what virt-customize has. */
const EXPLAINED = [
  // Its manual promises the permissions of the uploaded file. It sets them and then the owner, at which Linux drops set-uid.
  '/srv/end: file 4751 12345:54321 "uploaded" | file 751 12345:54321 "uploaded"',
  '/srv/renamed/2-upload me: file 4751 12345:54321 "uploaded" | file 751 12345:54321 "uploaded"',
];

it('does what virt-customize does, but for what is said here', async () => {
  const local = makeLocal();
  const list = operations(local);
  const ours = makeExtImage(TREE);
  // virt-customize looks for a guest on the whole disk, so it gets the filesystem alone.
  const theirs = scratchPath('theirs.img');
  run('dd', [`if=${ours}`, `of=${theirs}`, 'bs=1M', 'skip=1', 'conv=sparse', 'status=none']);
  await promisify(execFile)(
    'virt-customize',
    ['--format', 'raw', '-a', theirs, '--no-network', ...list.flatMap(([name, text]) => [`--${name}`, text])],
    {
      env: { ...process.env, LIBGUESTFS_BACKEND: 'direct', LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg' },
    },
  );
  const judged = makeExtImage({});
  run('dd', [`if=${theirs}`, `of=${judged}`, 'bs=1M', 'seek=1', 'conv=notrunc', 'status=none']);
  await applyAll(ours, list);
  await using mine = await openGuest(ours);
  await using other = await openGuest(judged);
  const [got, wanted] = [await treeOf(mine), await treeOf(other)];
  const differences = [...new Set([...got.keys(), ...wanted.keys()])]
    .filter((path) => got.get(path) !== wanted.get(path))
    .map((path) => `${path}: ${got.get(path) ?? 'none'} | ${wanted.get(path) ?? 'none'}`);
  expect(differences.sort()).toEqual(EXPLAINED);
}, 300_000);
