import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { makeExtImage, MIB, OFFSET, run, scratchPath, type TreeSpec } from './guest-image.js';
import { GUEST_TREES } from './guest-trees.js';

/** A small Debian with two users in its files. */
export const SMALL_DEBIAN: TreeSpec = {
  ...GUEST_TREES.DEBIAN_12,
  'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\n',
  'etc/shadow': { data: 'root:*:19700:0:99999:7:::\n', mode: 0o640 },
  'etc/group': 'root:x:0:\n',
  root: { dir: 0o700 },
  tmp: { dir: 0o1777 },
};

const PART = 16 * MIB;

/** Makes a raw disk with a GPT and an ext4 partition of 16 MiB for each tree, or one of zeros. Returns its path. */
export function makeSystemDisk(...trees: (TreeSpec | undefined)[]): string {
  const path = scratchPath('system.img');
  const parts = trees.map((tree) =>
    tree ? readFileSync(makeExtImage(tree)).subarray(OFFSET, OFFSET + PART) : Buffer.alloc(PART),
  );
  writeFileSync(path, Buffer.concat([Buffer.alloc(MIB), ...parts]));
  truncateSync(path, MIB + trees.length * PART + MIB);
  const lines = trees.map(
    (_, index) => `start=${2048 + index * (PART / 512)}, size=${PART / 512}, type=linux`,
  );
  run('sfdisk', ['-q', path], `label: gpt\n${lines.join('\n')}\n`);
  return path;
}

/** What debugfs prints for `command` on partition `number` of a disk made here. */
export function debugfsOn(path: string, number: number, command: string): string {
  return run('debugfs', ['-R', command, `${path}?offset=${MIB + (number - 1) * PART}`]);
}

/** Throws unless e2fsck finds the filesystem on partition `number` clean. */
export function fsckOn(path: string, number: number): void {
  run('e2fsck', ['-fn', `${path}?offset=${MIB + (number - 1) * PART}`]);
}
