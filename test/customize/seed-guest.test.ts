import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { seedSystemdBoot } from '../../src/customize/esp-seed.js';
import { seedGuest } from '../../src/customize/seed-guest.js';
import { openExtGuest } from '../../src/guest/ext/open-ext-guest.js';
import { findRoots } from '../../src/guest/find-root.js';
import { forEachGuest, openGuestOn } from '../../src/guest/open-guest.js';
import type { Guest } from '../../src/guest/guest.js';
import { openFileSource } from '../../src/io/file-source.js';
import { seededRandom, systemRandom } from '../../src/io/random.js';
import {
  MIB,
  OFFSET,
  type TreeSpec,
  debugfsWrite,
  fsck,
  makeExtImage,
  run,
  scratchPath,
} from '../helpers/guest-image.js';
import { GUEST_TREES } from '../helpers/guest-trees.js';

async function seeded(
  path: string,
  machineId: 'random' | 'empty' | 'keep' = 'random',
): Promise<{ guest: Guest; done: string[] }> {
  const guest = await openExtGuest(path, { offset: OFFSET });
  const done = await seedGuest(guest, { random: systemRandom(), machineId });
  await guest.commit();
  fsck(path);
  return { guest, done };
}

describe('the random seed', () => {
  it.each([
    ['DEBIAN_12', ['/var/lib/systemd/random-seed']],
    ['UBUNTU_1204', ['/var/lib/urandom/random-seed']],
    ['FEDORA', ['/var/lib/systemd/random-seed']],
    ['OPENSUSE_11', ['/var/lib/misc/random-seed']],
    ['CENTOS_6', ['/var/lib/random-seed']],
    ['ALPINE', ['/var/lib/seedrng/seed.no-credit']],
    ['CIRROS', ['/var/lib/random-seed']],
  ] as const)("is where %s's init reads it", async (name, places) => {
    const { guest, done } = await seeded(makeExtImage(GUEST_TREES[name]));
    await using _ = guest;
    expect(done.filter((line) => line.startsWith('random seed'))).toEqual(
      places.map((path) => `random seed ${path}`),
    );
    for (const path of places) {
      expect(await guest.stat(path)).toMatchObject({ type: 'file', mode: 0o600, uid: 0, gid: 0, size: 512 });
      expect((await guest.readFile(path)).equals(Buffer.alloc(512, 1))).toBe(false);
    }
  });

  it('replaces every file that exists, and never keeps a claim of entropy', async () => {
    const path = makeExtImage({
      ...GUEST_TREES.DEBIAN_12,
      'var/lib/systemd/random-seed': { data: 'old', mode: 0o644 },
      'var/lib/urandom/random-seed': 'old',
    });
    debugfsWrite(
      path,
      'ea_set /var/lib/systemd/random-seed user.random-seed-creditable 1',
      'sif /var/lib/systemd/random-seed uid 5',
    );
    const { guest } = await seeded(path);
    await using _ = guest;
    expect(await guest.stat('/var/lib/systemd/random-seed')).toMatchObject({
      mode: 0o600,
      uid: 0,
      size: 512,
    });
    expect(await guest.stat('/var/lib/urandom/random-seed')).toMatchObject({ mode: 0o600, size: 512 });
    expect((await guest.getXattrs('/var/lib/systemd/random-seed')).size).toBe(0);
  });

  it('is seen by guestfish', async () => {
    const path = makeExtImage(GUEST_TREES.DEBIAN_12);
    run('sfdisk', ['-q', path], `start=${OFFSET / 512}, size=${(16 * MIB) / 512}, type=83\n`);
    const { guest } = await seeded(path);
    await using _ = guest;
    const seen = execFileSync('guestfish', ['--ro', '--format=raw', '-a', path, '-m', '/dev/sda1'], {
      input:
        'statns /var/lib/systemd/random-seed\ncat /etc/machine-id\nchecksum sha256 /var/lib/systemd/random-seed\n',
      encoding: 'utf8',
      env: { ...process.env, LIBGUESTFS_BACKEND: 'direct', LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg' },
    });
    expect(seen).toMatch(/st_mode: 33152\n[^]*st_uid: 0\nst_gid: 0\n[^]*st_size: 512\n/);
    expect(seen).toContain((await guest.readFile('/etc/machine-id')).toString());
    const seed = await guest.readFile('/var/lib/systemd/random-seed');
    expect(seen).toContain(createHash('sha256').update(seed).digest('hex'));
  }, 120_000);
});

describe('the machine-id', () => {
  const read = async (guest: Guest, path = '/etc/machine-id'): Promise<string> =>
    (await guest.readFile(path)).toString();

  it('is a random UUID without dashes', async () => {
    const { guest } = await seeded(makeExtImage(GUEST_TREES.DEBIAN_12));
    await using _ = guest;
    expect(await read(guest)).toMatch(/^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}\n$/);
    expect(await guest.stat('/etc/machine-id')).toMatchObject({ mode: 0o444, uid: 0 });
    expect(await guest.readLink('/var/lib/dbus/machine-id')).toBe('/etc/machine-id');
  });

  it('is empty or kept when asked for', async () => {
    const empty = await seeded(makeExtImage(GUEST_TREES.DEBIAN_12), 'empty');
    await using first = empty.guest;
    expect(await read(first)).toBe('');
    const kept = await seeded(makeExtImage(GUEST_TREES.DEBIAN_12), 'keep');
    await using second = kept.guest;
    expect(await read(second)).toBe('uninitialized\n');
    expect(kept.done).toEqual(['random seed /var/lib/systemd/random-seed']);
  });

  it("is D-Bus' own where systemd is missing", async () => {
    const { guest } = await seeded(makeExtImage(GUEST_TREES.UBUNTU_1204));
    await using _ = guest;
    expect(await guest.exists('/etc/machine-id')).toBe(false);
    expect(await read(guest, '/var/lib/dbus/machine-id')).toMatch(/^(?!0{32})[0-9a-f]{32}\n$/);
    const empty = await seeded(makeExtImage(GUEST_TREES.UBUNTU_1204), 'empty');
    await using other = empty.guest;
    expect(await other.list('/var/lib/dbus')).toEqual([]);
  });

  it('is not made where nobody reads it, nor anything on a disk without a system', async () => {
    const { guest } = await seeded(makeExtImage(GUEST_TREES.ALPINE));
    await using _ = guest;
    expect(await guest.exists('/etc/machine-id')).toBe(false);
    const none = await seeded(makeExtImage({ 'etc/x': 'y' }));
    await none.guest[Symbol.asyncDispose]();
    expect(none.done).toEqual([]);
  });
});

describe('a seeded build', () => {
  it('makes the same bytes', async () => {
    const path = makeExtImage(GUEST_TREES.FEDORA);
    const copy = scratchPath('copy.img');
    writeFileSync(copy, readFileSync(path));
    for (const each of [path, copy]) {
      await using guest = await openExtGuest(each, { offset: OFFSET, fakeTime: 1_700_000_000 });
      await seedGuest(guest, { random: seededRandom('s') });
      await guest.commit();
      if (each === path) await new Promise((done) => setTimeout(done, 1001));
    }
    expect(sha(copy)).toBe(sha(path));
  });
});

const sha = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

/** A disk with several partitions, each an image's filesystem or zeros. */
function makeDisk(...trees: (TreeSpec | undefined)[]): {
  path: string;
  partitions: { number: number; offset: number; length: number }[];
} {
  const parts = trees.map((tree) =>
    tree ? readFileSync(makeExtImage(tree)).subarray(OFFSET, OFFSET + 16 * MIB) : Buffer.alloc(16 * MIB),
  );
  const path = scratchPath('disk.img');
  writeFileSync(path, Buffer.concat(parts));
  return {
    path,
    partitions: parts.map((_, index) => ({ number: index + 1, offset: index * 16 * MIB, length: 16 * MIB })),
  };
}

describe('finding the root', () => {
  it('passes by data, boot and foreign partitions', async () => {
    const disk = makeDisk(
      undefined,
      { vmlinuz: '', 'grub/grub.cfg': '' },
      { 'etc/app.conf': '' },
      GUEST_TREES.DEBIAN_12,
    );
    await using source = await openFileSource(disk.path);
    const roots = await findRoots(source, [
      ...disk.partitions,
      { number: 9, offset: 60 * MIB, length: 100 * MIB },
    ]);
    expect(roots.map(({ partition, os }) => [partition.number, os.distro?.id])).toEqual([[4, 'debian']]);
    await using guest = await openGuestOn(disk);
    expect(guest?.os.distro?.id).toBe('debian');
  });

  it('does not guess between two systems, but can work on both', async () => {
    const disk = makeDisk(GUEST_TREES.DEBIAN_12, GUEST_TREES.FEDORA);
    await expect(openGuestOn(disk)).rejects.toMatchObject({
      code: 'TSB_GUEST',
      message: expect.stringContaining('2 systems') as string,
    });
    const done = await forEachGuest(disk, {}, (guest) => seedGuest(guest, { random: systemRandom() }));
    expect(done).toHaveLength(2);
    expect(done.flat()).toHaveLength(4);
    expect(await openGuestOn({ ...disk, partitions: [] })).toBeUndefined();
  });
});

describe('the seed of systemd-boot', () => {
  function makeEsp(...files: string[]): {
    path: string;
    partitions: { number: number; offset: number; length: number }[];
  } {
    const path = scratchPath('esp.img');
    writeFileSync(path, '');
    truncateSync(path, OFFSET + 34 * MIB);
    run('mkfs.vfat', [
      '--offset',
      String(OFFSET / 512),
      '-F',
      '32',
      '-i',
      '12345678',
      path,
      String((33 * MIB) / 1024),
    ]);
    const drive = `${path}@@${OFFSET}`;
    const folders = new Set(
      files.flatMap((file) =>
        file
          .split('/')
          .slice(0, -1)
          .map((_, index, all) => all.slice(0, index + 1).join('/')),
      ),
    );
    for (const folder of folders) run('mmd', ['-i', drive, `::/${folder}`]);
    for (const file of files) run('mcopy', ['-i', drive, '/dev/null', `::/${file}`]);
    return { path, partitions: [{ number: 1, offset: OFFSET, length: 33 * MIB }] };
  }

  it('is written where systemd-boot is, the same with the same seed', async () => {
    const disks = [
      makeEsp('EFI/systemd/systemd-bootx64.efi', 'loader/loader.conf'),
      makeEsp('EFI/systemd/systemd-bootx64.efi', 'loader/loader.conf'),
    ] as const;
    writeFileSync(disks[1].path, readFileSync(disks[0].path));
    for (const disk of disks) {
      expect(await seedSystemdBoot(disk, { random: seededRandom('x'), fakeTime: 1_700_000_000 })).toEqual([
        'random seed /loader/random-seed on partition 1',
      ]);
      expect(
        await seedSystemdBoot(disk, { random: seededRandom('y'), fakeTime: 1_700_000_000 }),
      ).toHaveLength(1);
      if (disk === disks[0]) await new Promise((done) => setTimeout(done, 2001));
    }
    const content = execFileSync('mtype', ['-i', `${disks[0].path}@@${OFFSET}`, '::/loader/random-seed']);
    expect(content.equals(seededRandom('y').bytes(512, 'esp 1'))).toBe(true);
    expect(sha(disks[1].path)).toBe(sha(disks[0].path));
  });

  it('is not written elsewhere', async () => {
    const disk = makeEsp('EFI/BOOT/BOOTX64.EFI', 'loader/loader.conf');
    const before = sha(disk.path);
    expect(await seedSystemdBoot(disk, { random: systemRandom() })).toEqual([]);
    expect(sha(disk.path)).toBe(before);
  });

  it('needs mtools, and says so', async () => {
    const disk = makeEsp('EFI/systemd/systemd-bootx64.efi', 'loader/loader.conf');
    const path = process.env['PATH'];
    const warnings: string[] = [];
    process.env['PATH'] = '/nonexistent';
    try {
      expect(
        await seedSystemdBoot(disk, { random: systemRandom(), warn: (text) => warnings.push(text) }),
      ).toEqual([]);
    } finally {
      process.env['PATH'] = path;
    }
    expect(warnings).toEqual([expect.stringContaining('mtools')]);
  });
});
