import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll } from 'vitest';

export const MIB = 1024 * 1024;

/** Where the filesystem begins in every image made here. */
export const OFFSET = 1 * MIB;

/** Files of a guest by path: text, bytes, `{ link }`, `{ dir: mode }` or `{ data, mode }`. */
export type TreeSpec = Readonly<
  Record<string, string | Buffer | { link: string } | { dir: number } | { data: string; mode: number }>
>;

const ENV = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' };

const root = mkdtempSync(join(tmpdir(), 'tsbuilder-guest-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let count = 0;

/** A new path in a folder that is removed after the tests of this file. */
export function scratchPath(name: string): string {
  count += 1;
  return join(root, `${count}-${name}`);
}

/** Writes `tree` below a new folder of the host. */
export function makeTree(tree: TreeSpec): string {
  const folder = scratchPath('tree');
  mkdirSync(folder);
  for (const [path, what] of Object.entries(tree)) {
    const full = join(folder, path);
    mkdirSync(dirname(full), { recursive: true });
    if (typeof what === 'string' || Buffer.isBuffer(what)) writeFileSync(full, what);
    else if ('link' in what) symlinkSync(what.link, full);
    else if ('dir' in what) {
      mkdirSync(full, { recursive: true });
      chmodSync(full, what.dir);
    } else {
      writeFileSync(full, what.data);
      chmodSync(full, what.mode);
    }
  }
  return folder;
}

/** Makes a disk whose filesystem of `mib` MiB begins at {@link OFFSET} and holds `tree`. Returns its path. */
export function makeExtImage(
  tree: TreeSpec | string,
  options: { type?: 'ext2' | 'ext3' | 'ext4'; mib?: number; args?: readonly string[] } = {},
): string {
  const path = scratchPath('disk.img');
  const mib = options.mib ?? 16;
  const folder = typeof tree === 'string' ? tree : makeTree(tree);
  writeFileSync(path, '');
  truncateSync(path, OFFSET + mib * MIB + MIB);
  run('mke2fs', [
    '-q',
    '-F',
    '-t',
    options.type ?? 'ext4',
    ...(options.args ?? []),
    '-E',
    `offset=${OFFSET},root_owner=0:0`,
    '-d',
    folder,
    path,
    `${mib}M`,
  ]);
  return path;
}

/** Runs a program of e2fsprogs or another judge; throws when it fails. */
export function run(program: string, args: readonly string[], input?: string): string {
  return execFileSync(program, args, {
    env: ENV,
    input,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe'],
    maxBuffer: 64 * MIB,
  });
}

/** What debugfs prints for one command on an image made here. */
export function debugfs(path: string, command: string): string {
  return run('debugfs', ['-R', command, `${path}?offset=${OFFSET}`]);
}

/** Runs debugfs commands that change an image made here. */
export function debugfsWrite(path: string, ...commands: string[]): void {
  run('debugfs', ['-w', '-f', '-', `${path}?offset=${OFFSET}`], `${commands.join('\n')}\n`);
}

/** e2fsck's verdict on an image made here: throws unless it is clean. */
export function fsck(path: string): void {
  run('e2fsck', ['-fn', `${path}?offset=${OFFSET}`]);
}
