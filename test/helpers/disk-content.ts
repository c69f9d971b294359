import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KIB, makeSparse, patch, peek, run } from './disk.js';

/** Where in a disk file something is. */
interface Place {
  readonly offset: number;
  readonly length: number;
}

const FILE = Buffer.from('what a template holds\n'.repeat(20_000));

/** Makes an ext filesystem with a file and a folder in it, inside a disk file. */
export function makeExt(disk: string, place: Place, options: readonly string[] = []): void {
  const folder = `${disk}.content`;
  mkdirSync(join(folder, 'etc'), { recursive: true });
  writeFileSync(join(folder, 'etc', 'big'), FILE);
  run('mke2fs', [
    '-q',
    '-F',
    ...(options.includes('-t') ? [] : ['-t', 'ext4']),
    '-L',
    'root',
    ...options,
    '-d',
    folder,
    '-E',
    `offset=${place.offset}`,
    disk,
    `${place.length / KIB}k`,
  ]);
}

/** Checks with e2fsck that the filesystem is clean and with debugfs that its file is what it was. */
export function readExt(disk: string, place: Place): { clean: string; intact: boolean; size: number } {
  const device = `${disk}?offset=${place.offset}`;
  const clean = run('e2fsck', ['-fn', device]);
  run('debugfs', ['-R', `dump /etc/big ${disk}.dump`, device]);
  const hash = (args: readonly string[]): string => run('sha256sum', args).slice(0, 64);
  const info = run('dumpe2fs', ['-h', device]);
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(info)?.[1]);
  return {
    clean,
    intact: hash([`${disk}.dump`]) === createHash('sha256').update(FILE).digest('hex'),
    size: field('Block count') * field('Block size'),
  };
}

const SWAP_UUID = '12345678-9abc-def0-1234-56789abcdef0';

/** The first page of what `mkswap` makes of a place of `length` bytes. */
export function swapHeader(scratch: string, length: number, pageSize = 4096): Buffer {
  makeSparse(scratch, length);
  run('mkswap', ['-L', 'swapped', '-U', SWAP_UUID, '-p', String(pageSize), scratch]);
  return peek(scratch, 0, pageSize);
}

/** Makes a swap area inside a disk file. */
export function makeSwap(disk: string, place: Place, pageSize = 4096): void {
  patch(disk, place.offset, swapHeader(`${disk}.swap`, place.length, pageSize));
}

/** Makes a FAT filesystem inside a disk file. */
export function makeFat(disk: string, place: Place, sectorSize = 512): void {
  const sectors = place.offset / sectorSize;
  run('mkfs.vfat', [
    '-n',
    'ESP',
    `--offset=${sectors}`,
    '-S',
    String(sectorSize),
    disk,
    String(place.length / KIB),
  ]);
}

/** Fills a place with bytes that no probe knows. */
export function makeNoise(disk: string, place: Place): void {
  patch(disk, place.offset, Buffer.alloc(Math.min(place.length, 128 * KIB), 0xa5));
}
