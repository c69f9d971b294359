import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type TarEntry, tarArchive } from '../../src/guest/appliance-tar.js';
import { run } from '../helpers/disk.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

const READ = `
import json, sys, tarfile
for m in tarfile.open(sys.argv[1], encoding='utf-8', errors='surrogateescape'):
    body = m.isreg() and tarfile.open(sys.argv[1]).extractfile(m).read().decode()
    pax = {k: v for k, v in m.pax_headers.items() if k.startswith('SCHILY')}
    print(json.dumps([m.name, m.type.decode(), m.mode, m.uid, m.gid, int(m.mtime), m.size, m.linkname, m.devmajor, m.devminor, body, pax]))
`;

async function archive(path: string, entries: TarEntry[]): Promise<unknown[]> {
  const pieces: Buffer[] = [];
  for await (const piece of tarArchive(entries)) pieces.push(piece);
  writeFileSync(path, Buffer.concat(pieces));
  run('tar', ['-tf', path]);
  return run('python3', ['-c', READ, path])
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}

const like = { mode: 0o644, uid: 0, gid: 0, mtime: 1_700_000_000 };

describe('an archive of changes', () => {
  it('is read by tar and by Python with everything that was put in', async () => {
    await using folder = await scratchFolder();
    const hostFile = join(folder.path, 'content');
    writeFileSync(hostFile, 'x'.repeat(1500));
    const long = `${'long/'.repeat(60)}name`;
    const xattrs = new Map([['user.a', Buffer.from('b\nc')]]);
    const entries: TarEntry[] = [
      { ...like, type: 'directory', path: 'new', mode: 0o2775, uid: 4_000_000, gid: 5 },
      { ...like, type: 'file', path: 'new/a "b"\n', content: 'text', xattrs },
      { ...like, type: 'file', path: long, content: { hostFile }, mode: 0o4755 },
      { ...like, type: 'hardLink', path: 'other', target: long },
      { ...like, type: 'symlink', path: 'link', target: `/${'t'.repeat(300)}`, mode: 0o777 },
      { ...like, type: 'character', path: 'tty', device: { major: 4, minor: 70 } },
      { ...like, type: 'fifo', path: 'fifo', mtime: -5 },
      { ...like, type: 'file', path: 'empty', content: new Uint8Array() },
    ];
    const time = like.mtime;
    expect(await archive(join(folder.path, 'a.tar'), entries)).toEqual([
      ['new', '5', 0o2775, 4_000_000, 5, time, 0, '', 0, 0, false, {}],
      ['new/a "b"\n', '0', 0o644, 0, 0, time, 4, '', 0, 0, 'text', { 'SCHILY.xattr.user.a': 'b\nc' }],
      [long, '0', 0o4755, 0, 0, time, 1500, '', 0, 0, 'x'.repeat(1500), {}],
      ['other', '1', 0o644, 0, 0, time, 0, long, 0, 0, false, {}],
      ['link', '2', 0o777, 0, 0, time, 0, `/${'t'.repeat(300)}`, 0, 0, false, {}],
      ['tty', '3', 0o644, 0, 0, time, 0, '', 4, 70, false, {}],
      ['fifo', '6', 0o644, 0, 0, -5, 0, '', 0, 0, false, {}],
      ['empty', '0', 0o644, 0, 0, time, 0, '', 0, 0, '', {}],
    ]);
  });
});
