import { spawnSync } from 'node:child_process';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Contender } from './measure.js';

/** What the contenders work with. */
export interface CustomizeBench {
  readonly cli: string;
  readonly scratch: string;
  /** Options that choose and trust a repository with debian-12. */
  readonly source: readonly string[];
}

/**
 * Eight operations on the debian-12 disk, and one, by us and by virt-customize: its manual way of doing the same.
 *
 * @throws when the disk cannot be built
 */
export async function customizers({ cli, scratch, source }: CustomizeBench): Promise<Contender[]> {
  const file = (name: string): string => join(scratch, name);
  const [ours, kept, peers] = [file('customize.img'), file('customize-kept.img'), file('customize-peer.img')];
  build([cli, 'debian-12', ...source, '--force', '--quiet', '-o', ours]);
  for (const copy of [kept, peers]) await copyFile(ours, copy);
  // What is still to be written of the new disks would be waited for by whoever flushes first.
  spawnSync('sync');
  await writeFile(file('secret'), 'correct horse\n');
  await writeFile(
    file('id.pub'),
    'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1t2C0c9lkOvqW7l3Lx8m1Zb6V6bY0mI2n1wWv8a9zk bench\n',
  );
  await writeFile(file('script.sh'), '#!/bin/sh\necho hello\n');
  await writeFile(file('upload.bin'), Buffer.alloc(100_000, 'x'));
  await writeFile(file('more'), overwriting(cli, ours, 100));
  const eight = [
    ...[
      '--hostname',
      'web1',
      '--root-password',
      `file:${file('secret')}`,
      '--ssh-inject',
      `root:file:${file('id.pub')}`,
    ],
    ...['--timezone', 'Europe/Berlin', '--upload', `${file('upload.bin')}:/root/upload.bin`],
    ...['--write', '/etc/motd:hello', '--mkdir', '/srv/data', '--firstboot', file('script.sh')],
  ];
  const us = (...words: string[]): [string, ...string[]] => [
    process.execPath,
    cli,
    'customize',
    '--quiet',
    ...words,
  ];
  return [
    { name: 'tsbuilder customize --no-backup', command: us(ours, '--no-backup', ...eight), makes: [] },
    {
      name: 'the same with one operation',
      command: us(ours, '--no-backup', '--write', '/etc/issue:hello'),
      makes: [],
    },
    {
      name: 'the same with 100 operations more, over files that are there',
      command: us(ours, '--no-backup', '--write', '/etc/issue:hello', '--commands-from-file', file('more')),
      makes: [],
    },
    { name: 'tsbuilder customize, with a backup', command: us(kept, ...eight), makes: [`${kept}.bak`] },
    {
      name: 'virt-customize',
      command: ['virt-customize', '--quiet', '--format', 'raw', '-a', peers, ...eight],
      makes: [],
      rounds: 1,
      env: { LIBGUESTFS_BACKEND: 'direct', LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg' },
    },
  ];
}

/** Commands that write over `count` files of the guest's /usr/bin. */
function overwriting(cli: string, disk: string, count: number): string {
  const { stdout } = spawnSync(process.execPath, [cli, 'ls', disk, '/usr/bin'], { encoding: 'utf8' });
  const names = stdout.split('\n').filter((name) => /^\w+$/.test(name));
  if (names.length < count) throw new Error(`the guest has ${names.length} files to write over`);
  return names
    .slice(0, count)
    .map((name) => `write /usr/bin/${name}:hello\n`)
    .join('');
}

function build(args: readonly string[]): void {
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the disk to customise could not be built: ${stderr}`);
}
