import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bootUntil } from '../helpers/qemu.js';

const run = promisify(execFile);
const MAIN = join(import.meta.dirname, '..', '..', 'dist', 'main.cjs');
const MIB = 1024 ** 2;
const EPOCH = 1_790_000_000;
/** A disk of this size is made of the template's 512 MiB. */
const GROWN = 1536 * MIB;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tsb-tiny-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The program as users run it, with folders of its own. */
async function tsbuilder(...args: string[]): Promise<string> {
  const env = {
    ...process.env,
    TSBUILDER_DATA_DIR: join(folder, 'data'),
    HOME: folder,
    XDG_CACHE_HOME: join(folder, 'cache'),
    SOURCE_DATE_EPOCH: String(EPOCH),
  };
  return (await run(process.execPath, [MAIN, ...args], { cwd: folder, env })).stdout;
}

interface Built {
  readonly name: string;
  readonly path: string;
  readonly sha512: string;
  readonly changed: boolean;
  readonly index: string;
}

async function build(layout: string): Promise<Built> {
  return JSON.parse(
    await tsbuilder('template', 'build', 'tiny', '--layout', layout, '--json', '--quiet'),
  ) as Built;
}

/** What the guest says about itself when it starts: its root filesystem in MiB, and what else was told of it. */
async function bootTiny(path: string, firmware: 'uefi' | 'bios'): Promise<Record<string, string>> {
  const { console } = await bootUntil({ path, format: 'raw', firmware }, /^tiny login: /m, 120_000);
  return (
    /^Tiny: \/ is (?<type>\S+) on (?<device>\S+) with (?<size>\d+) MiB; swap (?<swap>\d+) MiB$/m.exec(console)
      ?.groups ?? {}
  );
}

/** The lines of the index's section for a template. */
async function entryOf({ index, name }: Built): Promise<string> {
  const text = await readFile(index, 'utf8');
  return text.split(/^(?=\[)/m).find((section) => section.startsWith(`[${name}]\n`)) ?? '';
}

describe('the tiny template', () => {
  it('on gpt-uefi grows, boots, and is the same to the byte when it is made again', async () => {
    const built = await build('gpt-uefi');
    expect(built.name).toBe('tiny');
    expect((await stat(built.path)).size).toBeLessThan(24 * MIB);
    expect(await entryOf(built)).toContain('expand=/dev/sda2\n');
    await tsbuilder('tiny', '--size', String(GROWN));
    const disk = join(folder, 'tiny.img');
    await run('sfdisk', ['--verify', disk]);
    await run('e2fsck', ['-fn', `${disk}?offset=${129 * MIB}`]);
    const { size, ...rest } = await bootTiny(disk, 'uefi');
    expect(rest).toEqual({ type: 'ext4', device: '/dev/vda2', swap: '0' });
    expect(Number(size)).toBeGreaterThan(1250);
    await rm(disk);
    expect(await build('gpt-uefi')).toMatchObject({ sha512: built.sha512, changed: false });
  }, 300_000);

  it('on mbr-swap-last grows in front of its swap area, and boots by a BIOS', async () => {
    const built = await build('mbr-swap-last');
    expect(built.name).toBe('tiny-mbr-swap-last');
    expect(await entryOf(built)).toContain('expand=/dev/sda1\n');
    await tsbuilder(built.name, '--size', String(GROWN));
    const disk = join(folder, `${built.name}.img`);
    await run('sfdisk', ['--verify', disk]);
    await run('e2fsck', ['-fn', `${disk}?offset=${MIB}`]);
    const { size, ...rest } = await bootTiny(disk, 'bios');
    expect(rest).toEqual({ type: 'ext4', device: '/dev/vda1', swap: '63' });
    expect(Number(size)).toBeGreaterThan(1250);
    await rm(disk);
  }, 300_000);

  it('on lvm grows its physical and its logical volume, and boots', async () => {
    const built = await build('lvm');
    const entry = await entryOf(built);
    expect(entry).toContain('expand=/dev/sda2\n');
    expect(entry).toContain('lvexpand=/dev/system/root\n');
    await tsbuilder(built.name, '--size', String(GROWN));
    const disk = join(folder, `${built.name}.img`);
    await run('sfdisk', ['--verify', disk]);
    // The volume is still in one piece, behind the first MiB of its partition.
    await run('e2fsck', ['-fn', `${disk}?offset=${130 * MIB}`]);
    const { size, ...rest } = await bootTiny(disk, 'uefi');
    expect(rest).toEqual({ type: 'ext4', device: '/dev/mapper/system-root', swap: '0' });
    expect(Number(size)).toBeGreaterThan(1250);
    await rm(disk);
  }, 300_000);

  it('on xfs grows, and boots', async () => {
    const built = await build('xfs');
    expect(await entryOf(built)).toContain('expand=/dev/sda2\n');
    await tsbuilder(built.name, '--size', String(GROWN));
    const disk = join(folder, `${built.name}.img`);
    await run('sfdisk', ['--verify', disk]);
    const root = join(folder, 'root.img');
    await run('dd', [`if=${disk}`, `of=${root}`, 'bs=1M', 'skip=129', 'conv=sparse', 'status=none']);
    await run('xfs_repair', ['-n', root]);
    await rm(root);
    const { size, ...rest } = await bootTiny(disk, 'uefi');
    expect(rest).toEqual({ type: 'xfs', device: '/dev/vda2', swap: '0' });
    expect(Number(size)).toBeGreaterThan(1250);
    await rm(disk);
  }, 300_000);
});
