import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { debian12Repository } from '../helpers/debian12-repository.js';
import { bootUntil } from '../helpers/qemu.js';

const run = promisify(execFile);
const MAIN = join(import.meta.dirname, '..', '..', 'dist', 'main.cjs');
const ROOT_AT = 129 * 1024 ** 2;

let dataDir: string;
let folder: string;

beforeAll(async () => {
  ({ dataDir } = await debian12Repository());
  folder = await mkdtemp(join(tmpdir(), 'tsb-boot-'));
}, 1_800_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Built {
  readonly diskIds: { readonly ids: readonly { what: string; from: string; to: string }[] };
}

async function build(...args: string[]): Promise<Built> {
  const home = join(folder, 'home');
  const env = {
    ...process.env,
    TSBUILDER_DATA_DIR: dataDir,
    HOME: home,
    XDG_CACHE_HOME: join(home, 'cache'),
  };
  const { stdout } = await run(process.execPath, [MAIN, 'debian-12', ...args, '--json'], {
    cwd: folder,
    env,
  });
  return JSON.parse(stdout) as Built;
}

describe('--disk-uuid new', () => {
  it('makes a debian-12 disk with ids of its own that boots to a login prompt', async () => {
    const disk = join(folder, 'own.img');
    const { diskIds } = await build('-o', disk, '--disk-uuid', 'new', '--hostname', 'own');
    const root = diskIds.ids.find(({ what }) => what.includes('ext4'))!;
    const probe = ['-p', '-o', 'value', '-s', 'UUID', '-O', String(ROOT_AT), disk];
    expect((await run('blkid', probe)).stdout.trim()).toBe(root.to);
    expect(root.to).not.toBe(root.from);
    const { console } = await bootUntil({ path: disk, format: 'raw' }, /^own login: /m);
    expect(console).toContain(`root=UUID=${root.to}`);
    expect(console).not.toMatch(/FAILED|emergency mode|Timed out waiting for device/);
  }, 900_000);
});
