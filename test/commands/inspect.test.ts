import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Config } from '@oclif/core';
import { captureOutput } from '@oclif/test';
import { beforeEach, describe, expect, it } from 'vitest';
import type { InspectedDisk } from '../../src/build/inspect-image.js';
import Inspect from '../../src/commands/inspect.js';
import { MIB, makeExtImage, run, scratchPath } from '../helpers/guest-image.js';
import { GUEST_TREES } from '../helpers/guest-trees.js';
import { startTestServer } from '../helpers/http-server.js';

let config: Config;
beforeEach(async () => {
  config = await Config.load(join(import.meta.dirname, '../..'));
  process.exitCode = undefined;
});

async function inspect(...words: string[]): Promise<{ result: unknown; text: string }> {
  const { result, stdout, error } = await captureOutput(() => Inspect.run(words, config));
  if (error) throw error;
  return { result, text: stdout };
}

/** A disk with one partition that holds Debian. */
function makeDisk(): string {
  const path = makeExtImage(GUEST_TREES.DEBIAN_12);
  run('sfdisk', ['--quiet', '--no-reread', path], 'label: dos\nstart=2048, size=32768, type=83, bootable\n');
  return path;
}

describe('tsbuilder inspect', () => {
  it.each([
    ['raw', (disk: string) => disk],
    ['qcow2', (disk: string) => converted(disk, 'disk.qcow2', ['qemu-img', 'convert', '-O', 'qcow2', disk])],
    ['xz', (disk: string) => compressed(disk, 'xz')],
    ['gzip', (disk: string) => compressed(disk, 'gzip')],
    ['zstd', (disk: string) => compressed(disk, 'zstd')],
  ])('reads %s', async (_, make) => {
    const { result, text } = await inspect(make(makeDisk()));
    expect(result).toMatchObject({
      table: 'mbr',
      size: 18 * MIB,
      systems: [{ root: '1', distro: 'debian', version: '12', arch: 'x86_64' }],
    });
    expect(text).toContain('Debian GNU/Linux 12 (bookworm) on partition 1');
  });

  it('fetches only parts of a file on a server', async () => {
    const packed = scratchPath('disk.img.xz');
    const path = makeDisk();
    run('sh', [
      '-c',
      'dd if=/dev/urandom of="$1" bs=1M seek=9 count=7 conv=notrunc status=none; xz -0 --block-size=512KiB -c "$1" >"$2"',
      'sh',
      path,
      packed,
    ]);
    const data = readFileSync(packed);
    await using server = await startTestServer({ '/disk.img.xz': { data } });
    const { result } = await inspect(`${server.url}/disk.img.xz`);
    expect((result as InspectedDisk).systems[0]?.productName).toBe('Debian GNU/Linux 12 (bookworm)');
    expect(data.length).toBeGreaterThan(6 * MIB);
    const asked = server.requests.reduce((sum, { headers }) => {
      const range = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '');
      return sum + (range ? Number(range[2]) - Number(range[1]) + 1 : 0);
    }, 0);
    expect(server.requests.filter(({ method, headers }) => method === 'GET' && !headers.range)).toEqual([]);
    expect(asked).toBeGreaterThan(1000);
    expect(asked).toBeLessThan(MIB);
  });

  it('gives an object with --json', async () => {
    const { text } = await inspect(makeDisk(), '--json');
    const parsed = JSON.parse(text) as InspectedDisk;
    expect(Object.keys(parsed)).toEqual(['src', 'name', 'size', 'table', 'boot', 'systems', 'volumes']);
    expect(Object.keys(parsed.systems[0] ?? {})).toContain('mounts');
  });

  it('takes an image for what it is told to be', async () => {
    // Whoever has a disk can write the header of a qcow2 image in front of its partitions.
    const disk = makeDisk();
    run('sh', ['-c', `printf 'QFI\\373\\0\\0\\0\\3' | dd of="$0" conv=notrunc status=none`, disk]);
    run('xz', ['-1', '-k', disk]);
    for (const words of [
      [disk, '--format', 'raw'],
      [disk, '--input-format', 'raw'],
      [`${disk}.xz`, '--format', 'xz'],
    ])
      expect((await inspect(...words)).result).toMatchObject({ systems: [{ root: '1', distro: 'debian' }] });
    for (const words of [[disk], [`${disk}.xz`], [makeDisk(), '--format', 'qcow2']]) {
      await captureOutput(() => Inspect.run(words, config));
      expect(process.exitCode).toBe(5);
    }
    process.exitCode = undefined;
  });

  it.each([
    ['random bytes', () => madeOf('/dev/urandom'), 8, 'no partition table on it and no filesystem'],
    ['zeros', () => madeOf('/dev/zero'), 8, 'no partition table on it and no filesystem'],
    ['a partition', () => `${makeDisk()}:1`, 2, 'a disk is inspected as a whole'],
    ['what is not there', () => scratchPath('nothing.img'), 3, 'nothing.img'],
  ])('refuses %s', async (_, src, exitCode, message) => {
    const { stderr } = await captureOutput(() => Inspect.run([src()], config));
    expect(process.exitCode).toBe(exitCode);
    expect(stderr).toContain(message);
    process.exitCode = undefined;
  });
});

function madeOf(device: string): string {
  const path = scratchPath('bytes.img');
  // Never a signature of a partition table, not even by chance.
  run('sh', ['-c', 'head -c 1M "$0" | tr -d "\\125" | head -c 512K > "$1"', device, path]);
  return path;
}

function converted(disk: string, name: string, command: readonly [string, ...string[]]): string {
  const [program, ...args] = command;
  const out = scratchPath(name);
  run(program, [...args, out]);
  return disk === out ? disk : out;
}

function compressed(disk: string, program: string): string {
  run(program, ['-q', '-k', '-1', disk]);
  return `${disk}.${{ xz: 'xz', gzip: 'gz', zstd: 'zst' }[program] ?? ''}`;
}
