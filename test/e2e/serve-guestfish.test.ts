import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { exec } from '../../src/io/exec.js';
import { makeDisk, run } from '../helpers/disk.js';
import { type Desk, newDesk } from '../helpers/e2e.js';
import { noise, sha512 } from '../helpers/e2e-template.js';
import { MIB, makeTree } from '../helpers/guest-image.js';
import { startServing } from '../helpers/serve-program.js';

// An appliance without KVM starts in half a minute on a machine that does nothing else.
vi.setConfig({ testTimeout: 300_000 });

const SIZE = 34 * MIB;
const PAYLOAD = noise(5 * MIB, 'guestfish');

let desk: Desk;
/** Of the disk as it was before it was packed. */
let sum: string;
beforeAll(async () => {
  desk = await newDesk();
  const path = desk.file('disk.img');
  makeDisk(path, SIZE, `label: gpt\nstart=2048, size=${32 * 2048}\n`);
  const tree = makeTree({
    'etc/hostname': 'served\n',
    'srv/payload': PAYLOAD,
    'srv/link': { link: 'payload' },
  });
  const where = ['-E', `offset=${MIB},root_owner=0:0`];
  run('mke2fs', ['-q', '-F', '-t', 'ext4', '-L', 'remote', ...where, '-d', tree, path, '32M']);
  sum = sha512(readFileSync(path));
  run('xz', ['--block-size=1MiB', path]);
});
afterAll(() => desk[Symbol.asyncDispose]());

/** What guestfish prints for each of `commands`, run one after the other on the disk at `uri`. */
async function guestfish(uri: string, commands: readonly string[]): Promise<string[]> {
  const folder = await mkdtemp('/tmp/guestfish-');
  const script = ['run', ...commands.flatMap((command) => ['echo =====', command])].join('\n');
  try {
    const { stdout } = await exec('guestfish', ['--ro', '--format=raw', '-a', uri], {
      input: Buffer.from(script),
      env: {
        LIBGUESTFS_BACKEND: 'direct',
        LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg',
        LIBGUESTFS_TMPDIR: folder,
        XDG_RUNTIME_DIR: folder,
      },
    });
    return stdout
      .split('=====\n')
      .slice(1)
      .map((text) => text.trim());
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

it('serves an xz file to guestfish, whose kernel reads in it what was put there', async () => {
  await using server = await startServing(desk, ['disk.img.xz', '--tcp', '127.0.0.1:0']);
  expect(server.ready.uri).toMatch(/^nbd:\/\/127\.0\.0\.1:\d+/);
  const answers = await guestfish(server.ready.uri, [
    'blockdev-getsize64 /dev/sda',
    // Before anything writes to the overlay that libguestfs has of the disk, as e2fsck does.
    'checksum-device sha512 /dev/sda',
    'list-filesystems',
    'vfs-label /dev/sda1',
    'e2fsck-f /dev/sda1',
    'mount-ro /dev/sda1 /',
    'cat /etc/hostname',
    'find /',
    'checksum sha512 /srv/link',
  ]);
  expect(answers).toEqual([
    String(SIZE),
    sum,
    '/dev/sda1: ext4',
    'remote',
    '',
    '',
    'served',
    ['etc', 'etc/hostname', 'lost+found', 'srv', 'srv/link', 'srv/payload'].join('\n'),
    sha512(PAYLOAD),
  ]);
  const { status, stderr } = await server.stop();
  expect([status, stderr]).toEqual([0, '']);
});
