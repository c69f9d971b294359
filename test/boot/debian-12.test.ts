import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEBIAN12_SIZE, type TestRepository, debian12Repository } from '../helpers/debian12-repository.js';
import { bootUntil } from '../helpers/qemu.js';

const run = promisify(execFile);
const MAIN = join(import.meta.dirname, '..', '..', 'dist', 'main.cjs');
const GIB = 1024 ** 3;

let repository: TestRepository;
let folder: string;

beforeAll(async () => {
  repository = await debian12Repository();
  folder = await mkdtemp(join(tmpdir(), 'tsb-boot-'));
}, 1_800_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The program as users run it, with the repository as its own local one and folders of its own. */
async function tsbuilder(...args: string[]): Promise<string> {
  const home = join(folder, 'home');
  const env = {
    ...process.env,
    TSBUILDER_DATA_DIR: repository.dataDir,
    HOME: home,
    XDG_CACHE_HOME: join(home, 'cache'),
  };
  return (await run(process.execPath, [MAIN, ...args], { cwd: folder, env })).stdout;
}

describe('the debian-12 template', () => {
  it('is an xz file of independent blocks with their sizes in the headers', async () => {
    const { stdout } = await run('xz', ['--list', '--robot', '-vv', repository.xzPath]);
    const rows = stdout.split('\n').map((line) => line.split('\t'));
    const blocks = rows.filter(([kind]) => kind === 'block');
    expect(blocks.length).toBe(DEBIAN12_SIZE / (16 * 1024 ** 2));
    // Columns of `xz --robot --list -vv`: 12 is the header's flags, c and u when both sizes are in it.
    expect(new Set(blocks.map((row) => row[12]))).toEqual(new Set(['cu']));
    expect(new Set(blocks.map((row) => row[9]))).toEqual(new Set(['CRC64']));
    expect((await stat(repository.xzPath)).size).toBeLessThan(200 * 1024 ** 2);
  });

  it('is what the signed index says', async () => {
    const index = await readFile(repository.indexPath, 'utf8');
    const sha512 = createHash('sha512')
      .update(await readFile(repository.xzPath))
      .digest('hex');
    expect(index).toContain(`checksum[sha512]=${sha512}\n`);
    expect(index).toContain(`size=${DEBIAN12_SIZE}\n`);
    expect(index).toContain('expand=/dev/sda2\n');
  });

  it('has nothing in it that must differ between machines', async () => {
    const disk = join(folder, 'template.img');
    await run('sh', [
      '-c',
      'xz -dc -T2 "$1" | dd of="$2" bs=1M conv=sparse iflag=fullblock status=none',
      'sh',
      repository.xzPath,
      disk,
    ]);
    const debugfs = async (command: string): Promise<string> =>
      (await run('debugfs', ['-R', command, `${disk}?offset=${129 * 1024 ** 2}`])).stdout;
    expect(await debugfs('ls -p /etc/ssh')).not.toContain('ssh_host');
    expect(await debugfs('stat /etc/machine-id')).toMatch(/Size: 0$/m);
    expect(await debugfs('ls -p /var/lib/systemd')).not.toContain('random-seed');
    expect(await debugfs('ls -p /var/lib/apt/lists')).not.toContain('Packages');
    expect(await debugfs('ls -p /var/cache/apt/archives')).not.toContain('.deb');
    expect(await debugfs('ls -p /etc/apt/apt.conf.d')).not.toContain('mmdebstrap');
    expect(await debugfs('cat /etc/shadow')).toMatch(/^root:[!*]/);
    expect(await debugfs('cat /etc/hostname')).toBe('debian\n');
    expect(await debugfs('cat /etc/apt/sources.list')).toContain(
      'deb http://deb.debian.org/debian bookworm main\n',
    );
    await rm(disk);
  });

  it('becomes a disk of 10 GiB that boots to a login prompt', async () => {
    const disk = join(folder, 'debian-12.img');
    await tsbuilder('debian-12', '--size', '10G');
    expect((await stat(disk)).size).toBe(10 * GIB);
    const { console } = await bootUntil({ path: disk, format: 'raw' }, /^debian login: /m);
    expect(console).toContain('Debian GNU/Linux 12 debian ttyS0');
    expect(console).not.toMatch(/FAILED|emergency mode/);
    await rm(disk);
  }, 900_000);
});
