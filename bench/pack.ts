import { existsSync } from 'node:fs';
import { link, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Contender, run } from './measure.js';

/** What packing and sparsifying are measured with. */
export interface PackBench {
  readonly cli: string;
  /** The packed debian-12 disk. */
  readonly template: string;
  readonly scratch: string;
}

/** The debian-12 disk as it is fresh from its template. Made once. */
export async function freshDisk({ template, scratch }: PackBench): Promise<string> {
  const disk = join(scratch, 'pack-fresh.img');
  if (!existsSync(disk))
    await run(['sh', '-c', 'xz -T0 -dc "$1" | cp --sparse=always /dev/stdin "$2"', 'sh', template, disk]);
  return disk;
}

/** The same disk after 1 GiB of random files was written and deleted. Made once. */
export async function usedDisk(inputs: PackBench): Promise<string> {
  const disk = join(inputs.scratch, 'pack-used.img');
  if (existsSync(disk)) return disk;
  const part = `${disk}.part`;
  await run(['cp', '--sparse=always', await freshDisk(inputs), part]);
  const fill = 'for i in $(seq 64); do head -c 16M /dev/urandom > /fill.$i; done; sync; rm /fill.*';
  await run(['guestfish', '--format=raw', '-a', part, '-i', 'sh', fill], {
    LIBGUESTFS_BACKEND: 'direct',
    LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg',
  });
  await run(['mv', part, disk]);
  return disk;
}

/** Packing `disk` with two jobs: by us with and without the second look at the new file, and by xz. Takes minutes: one round. */
export function packers(disk: string, { cli, scratch }: PackBench): Contender[] {
  const packed = join(scratch, 'packed.xz');
  const ours = [process.execPath, cli, 'pack', disk, packed, '--jobs', '2', '--quiet'] as const;
  const peer = 'xz -T2 -6 --block-size=16MiB -c "$1" > "$2"';
  return [
    { name: 'tsbuilder pack', command: [...ours], makes: [packed], rounds: 1 },
    { name: 'tsbuilder pack --no-verify', command: [...ours, '--no-verify'], makes: [packed], rounds: 1 },
    {
      name: 'xz -T2 -6, blocks of 16 MiB',
      command: ['sh', '-c', peer, 'sh', disk, packed],
      makes: [packed],
      rounds: 1,
    },
  ];
}

/** Freeing the unused blocks of a disk in place. Each contender has a copy of its own. */
export async function sparsifiers(disk: string, { cli, scratch }: PackBench): Promise<Contender[]> {
  const [ours, peers] = ['sparsify-ours.img', 'sparsify-peer.img'].map((name) => join(scratch, name)) as [
    string,
    string,
  ];
  for (const copy of [ours, peers]) {
    await rm(copy, { force: true });
    await run(['cp', '--sparse=always', disk, copy]);
  }
  await run(['sync']);
  return [
    {
      name: 'tsbuilder sparsify --in-place',
      command: [process.execPath, cli, 'sparsify', ours, '--in-place', '--quiet'],
      makes: [],
      rounds: 1,
    },
    {
      name: 'virt-sparsify --in-place',
      command: ['virt-sparsify', '--quiet', '--format', 'raw', '--in-place', peers],
      makes: [],
      rounds: 1,
      env: { LIBGUESTFS_BACKEND: 'direct', LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg' },
    },
  ];
}

/**
 * Adding the fresh disk to a repository. We sign; virt-builder-repository 1.48 fails at signing (guestfs-tools issue 13) and is run without. It removes
 * the disk when it is done, so it gets a link to it.
 */
export async function repositories(disk: string, { cli, scratch }: PackBench): Promise<Contender[]> {
  const [ours, peers] = ['repo-ours', 'repo-peer'].map((name) => join(scratch, name)) as [string, string];
  for (const folder of [ours, peers]) await rm(folder, { recursive: true, force: true });
  // The new key's secret half goes here too.
  const env = { TSBUILDER_DATA_DIR: join(scratch, 'repo-keys') };
  await rm(env.TSBUILDER_DATA_DIR, { recursive: true, force: true });
  await run([process.execPath, cli, 'repo', 'init', ours, '--quiet'], env);
  await mkdir(peers);
  await link(disk, join(peers, 'debian-12'));
  const fields = ['[debian-12]', 'name=Debian 12', 'arch=x86_64', 'file=debian-12.xz', 'size=4294967296'];
  await writeFile(join(peers, 'index'), `${fields.join('\n')}\n\n`);
  return [
    {
      name: 'tsbuilder repo add',
      command: [process.execPath, cli, 'repo', 'add', ours, disk, 'debian-12', '--quiet'],
      makes: [],
      rounds: 1,
      env,
    },
    {
      name: 'virt-builder-repository',
      command: ['virt-builder-repository', '--quiet', peers],
      makes: [],
      rounds: 1,
      env: { LIBGUESTFS_BACKEND: 'direct', LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg' },
    },
  ];
}
