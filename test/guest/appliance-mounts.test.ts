import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ApplianceSession } from '../../src/guest/appliance-session.js';
import { openApplianceSession } from '../../src/guest/open-appliance-session.js';
import { openGuestOn } from '../../src/guest/open-guest.js';
import { silentProgress } from '../../src/progress.js';
import { debianTree } from '../helpers/debian-tree.js';
import { MIB, run } from '../helpers/guest-image.js';
import { type MadeDisk, makeMountedDisk } from '../helpers/mounted-disk.js';

const BOOT = '11111111-1111-4111-8111-111111111111';

const FSTAB = `LABEL=root / ext4 defaults 0 1
PARTUUID=${BOOT} /boot ext4 defaults 0 2
PARTLABEL=var\\040part /var/lib/data ext4 defaults 0 2
/dev/mapper/vg--0-home /home ext4 nofail 0 2
/home/user /link/user none bind 0 0
nas:/export /net nfs defaults 0 0
UUID=dead-beef /media/gone ext4 nofail 0 0
/dev/sda3 /media/never ext4 noauto 0 0
tmpfs /tmp tmpfs defaults 0 0
`;

let folder: string;
let disk: MadeDisk;

/** A GPT disk with the smallest Debian, whose fstab has names that libguestfs's inspection cannot resolve. */
function makeDisk(): MadeDisk {
  const tree = debianTree(folder);
  writeFileSync(join(tree, 'etc/fstab'), FSTAB);
  run('mkdir', ['-p', join(tree, 'srv'), join(tree, 'net'), join(tree, 'media/gone')]);
  run('ln', ['-s', '/srv', join(tree, 'link')]);
  const made = makeMountedDisk(
    {
      mkfs: ['mke2fs', '-q', '-F', '-t', 'ext4', '-L', 'root', '-E', 'root_owner=0:0', '-d', tree],
      mib: 200,
    },
    { tree: { config: 'CONFIG=y\n' } },
    { tree: { here: '' } },
    { lvm: [{ name: 'home', tree: { 'user/file': '' } }] },
  );
  const facts = [{}, { uuid: BOOT }, { name: '"var part"' }, {}];
  const lines = made.partitions.map(({ offset, length }, index) =>
    Object.entries({ start: offset / 512, size: length / 512, ...facts[index] })
      .map((pair) => pair.join('='))
      .join(', '),
  );
  const last = made.partitions.at(-1);
  truncateSync(made.path, (last?.offset ?? 0) + (last?.length ?? 0) + MIB);
  run('sfdisk', ['-q', '--no-reread', made.path], `label: gpt\n${lines.join('\n')}\n`);
  return made;
}

/** What debugfs finds on partition `number`. */
const debugfs = (number: number, command: string, within = 0): string =>
  run('debugfs', [
    '-R',
    command,
    `${disk.path}?offset=${(disk.partitions[number - 1]?.offset ?? 0) + within}`,
  ]);

const open = (): Promise<ApplianceSession> =>
  openApplianceSession({ disk: disk.path, neededFor: '--run', progress: silentProgress });

async function setFstab(text: string): Promise<void> {
  await using guest = await openGuestOn(disk);
  await guest?.writeFile('/etc/fstab', text);
  await guest?.commit();
}

beforeAll(() => {
  vi.stubEnv('LIBGUESTFS_BACKEND', 'direct');
  vi.stubEnv('LIBGUESTFS_BACKEND_SETTINGS', 'force_tcg');
  folder = mkdtempSync(join(tmpdir(), 'tsbuilder-appliance-mounts-'));
  disk = makeDisk();
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

describe('what a session mounts', () => {
  it('is what fstab says, by whatever name', async () => {
    await using session = await open();
    expect((await session.files.readFile('/boot/config')).toString()).toBe('CONFIG=y\n');
    const script =
      'for d in /boot /var/lib/data /home/user /link/user /media/gone /media; do echo "$d" >>"$d/by-script"; done';
    expect(await session.run(script)).toEqual({ status: 0, output: '' });
    await using guest = session.guest();
    await guest.writeFile('/boot/by-guest', 'boot');
    await guest.writeFile('/srv/user/by-guest', 'home');
    await expect(guest.writeFile('/net/x', '')).rejects.toMatchObject({
      code: 'TSB_GUEST',
      message: expect.stringContaining('nas:/export /net nfs defaults') as string,
      details: { reason: 'not-on-disk', mountPoint: '/net' },
    });
    await guest.commit();
    await session.close();
    expect(debugfs(2, 'cat /by-script')).toBe('/boot\n');
    expect(debugfs(2, 'cat /by-guest')).toBe('boot');
    expect(debugfs(3, 'cat /by-script')).toBe('/var/lib/data\n');
    expect(debugfs(4, 'cat /user/by-script', MIB)).toBe('/home/user\n/link/user\n');
    expect(debugfs(4, 'cat /user/by-guest', MIB)).toBe('home');
    expect(debugfs(1, 'cat /media/gone/by-script')).toBe('/media/gone\n');
    for (const hidden of ['/boot', '/var/lib/data', '/home', '/srv/user', '/net'])
      expect(debugfs(1, `ls -p ${hidden}`)).not.toContain('by-');
    for (const [number, within] of [
      [1, 0],
      [2, 0],
      [3, 0],
      [4, MIB],
    ] as const)
      run('e2fsck', ['-fn', `${disk.path}?offset=${(disk.partitions[number - 1]?.offset ?? 0) + within}`]);
  }, 300_000);

  it('is an error where it is not on the disk, before a program runs', async () => {
    await setFstab('LABEL=root / ext4 defaults 0 1\nPARTUUID=0-0-0 /boot ext4 defaults 0 2\n');
    await expect(open()).rejects.toMatchObject({
      code: 'TSB_GUEST',
      message: expect.stringMatching(
        /mounts PARTUUID=0-0-0 at \/boot \(\/etc\/fstab: "PARTUUID=0-0-0 \/boot ext4 defaults"\), and none/,
      ) as string,
      hint: expect.stringContaining('nofail') as string,
      details: { mountPoint: '/boot', reason: 'not-on-disk' },
    });
  }, 240_000);

  it('is an error where it cannot be mounted', async () => {
    await setFstab(`PARTUUID=${BOOT} /boot xfs subvol=x 0 2\n`);
    await expect(open()).rejects.toMatchObject({
      code: 'TSB_GUEST',
      message: expect.stringMatching(/\/boot cannot be mounted as \/etc\/fstab says/) as string,
      details: { mountPoint: '/boot' },
    });
  }, 240_000);
});
