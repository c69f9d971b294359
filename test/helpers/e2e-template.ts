import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFat } from './disk-content.js';
import { MIB, makeDisk, patch, run } from './disk.js';
import { makeTree } from './guest-image.js';
import { GUEST_TREES } from './guest-trees.js';

/** Virtual size of the template in bytes. */
export const TEMPLATE_SIZE = 160 * MIB;
/** Where its root filesystem is. */
export const ROOT = { offset: 17 * MIB, length: 142 * MIB };
const ESP = { offset: MIB, length: 16 * MIB };

/** A template: a disk of its own and the same compressed. */
export interface MadeTemplate {
  readonly raw: string;
  readonly xz: Buffer;
  readonly sha512: string;
}

/** `length` bytes that do not compress, always the same. */
export function noise(length: number, seed = 'noise'): Buffer {
  const cipher = createHash('shake256', { outputLength: length }).update(seed);
  return cipher.digest();
}

/** A file in the template's root filesystem, to be found again in what is built. */
export const PAYLOAD = { path: '/usr/share/noise', data: noise(2 * MIB) };

/**
 * Makes a GPT disk in `folder`: a FAT partition and an ext4 root that imitates Debian 12, some MiB of data; and compresses
 * it in blocks of 1 MiB.
 */
export function makeTemplate(folder: string): MadeTemplate {
  const raw = join(folder, 'template.img');
  const sectors = (place: { offset: number; length: number }): string =>
    `start=${place.offset / 512}, size=${place.length / 512}`;
  makeDisk(raw, TEMPLATE_SIZE, `label: gpt\n${sectors(ESP)}, type=uefi\n${sectors(ROOT)}, type=linux\n`);
  makeFat(raw, ESP);
  const tree = makeTree({
    ...GUEST_TREES.DEBIAN_12,
    [PAYLOAD.path.slice(1)]: PAYLOAD.data,
    'usr/share/text': 'nothing but text, line after line\n'.repeat(60_000),
  });
  const extended = `offset=${ROOT.offset},root_owner=0:0`;
  run('mke2fs', ['-q', '-F', '-t', 'ext4', '-d', tree, '-E', extended, raw, `${ROOT.length / MIB}M`]);
  return { raw, ...compress(raw) };
}

/** The file compressed in blocks of 1 MiB, or as `args` say. */
export function compress(
  path: string,
  args: readonly string[] = ['-T2', '--block-size=1MiB', '-1'],
): {
  xz: Buffer;
  sha512: string;
} {
  run('xz', ['-k', '-f', ...args, path]);
  const xz = readFileSync(`${path}.xz`);
  return { xz, sha512: sha512(xz) };
}

/** SHA-512 in lower-case hex. */
export function sha512(data: Uint8Array): string {
  return createHash('sha512').update(data).digest('hex');
}

/** `data` with one bit flipped. */
export function flipBit(data: Uint8Array, offset: number, bit = 0): Buffer {
  const copy = Buffer.from(data);
  copy[offset]! ^= 1 << bit;
  return copy;
}

/** Writes `data` into a copy of the file at `path` and returns the copy's path. */
export function patchedCopy(
  path: string,
  name: string,
  ...patches: readonly { offset: number; data: Uint8Array }[]
): string {
  const copy = join(path, '..', name);
  run('cp', ['--sparse=always', path, copy]);
  for (const { offset, data } of patches) patch(copy, offset, data);
  return copy;
}
