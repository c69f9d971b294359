import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Contender, run } from './measure.js';

/** libguestfs without KVM, which not every machine has. */
const APPLIANCE = { LIBGUESTFS_BACKEND: 'direct', LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg' };

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
  await run(['guestfish', '--format=raw', '-a', part, '-i', 'sh', fill], APPLIANCE);
  await run(['mv', part, disk]);
  return disk;
}

/** Packing `disk` with two jobs: by us with and without the second look at the new file, and by xz. Takes minutes: one round. */
export function packers(disk: string, { cli, scratch }: PackBench): Contender[] {
  const packed = join(scratch, 'packed.xz');
  const ours = [process.execPath, cli, 'pack', disk, packed, '--jobs', '2', '--quiet'] as const;
  const common = { makes: [packed], result: packed, rounds: 1 };
  const peer = 'xz -T2 -6 --block-size=16MiB -c "$1" > "$2"';
  return [
    { name: 'tsbuilder pack', command: [...ours], ...common },
    { name: 'tsbuilder pack --no-verify', command: [...ours, '--no-verify'], ...common },
    { name: 'xz -T2 -6, blocks of 16 MiB', command: ['sh', '-c', peer, 'sh', disk, packed], ...common },
  ];
}

/** Freeing the unused blocks of a disk in place: each time in a new copy, which this machine has written to its disk before. */
export function sparsifiers(disk: string, { cli, scratch }: PackBench): Contender[] {
  const copy = join(scratch, 'sparsify.img');
  const common = {
    before: ['sh', '-c', 'cp --sparse=always "$1" "$2" && sync "$2"', 'sh', disk, copy],
    makes: [copy],
    result: copy,
    rounds: 3,
  };
  return [
    {
      name: 'tsbuilder sparsify --in-place',
      command: [process.execPath, cli, 'sparsify', copy, '--in-place', '--quiet'],
      ...common,
    },
    {
      name: 'virt-sparsify --in-place',
      command: ['virt-sparsify', '--quiet', '--format', 'raw', '--in-place', copy],
      env: APPLIANCE,
      ...common,
    },
  ];
}

/** The fresh disk with another host name and one package more, of 300 KB: as the next build of an image has it. Made once. */
export async function nextDisk(inputs: PackBench): Promise<string> {
  const { scratch } = inputs;
  const disk = join(scratch, 'pack-next.img');
  if (existsSync(disk)) return disk;
  const part = `${disk}.part`;
  const deb = join(scratch, 'pack-next.deb');
  await run(['cp', '--sparse=always', await freshDisk(inputs), part]);
  await makePackage(join(scratch, 'pack-next'), deb);
  const install = ['--copy-in', `${deb}:/root`, '--run-command', 'dpkg -i /root/pack-next.deb'];
  const changes = ['--hostname', 'next', ...install, '--delete', '/root/pack-next.deb'];
  await run(['virt-customize', '--quiet', '--format', 'raw', '-a', part, ...changes], APPLIANCE);
  await run(['mv', part, disk]);
  return disk;
}

async function makePackage(tree: string, deb: string): Promise<void> {
  const fields = [
    'Package: pack-next',
    'Version: 1.0',
    'Architecture: all',
    'Maintainer: nobody <a@example.org>',
  ];
  await mkdir(join(tree, 'DEBIAN'), { recursive: true });
  await mkdir(join(tree, 'usr', 'bin'), { recursive: true });
  const control = [...fields, 'Description: something small', ''].join('\n');
  await writeFile(join(tree, 'DEBIAN', 'control'), control);
  await writeFile(join(tree, 'usr', 'bin', 'pack-next'), randomBytes(300_000).toString('base64'));
  await run(['dpkg-deb', '--root-owner-group', '--build', tree, deb]);
}

/** The folders of repositories, two of ours and the peer's, and the environment that our key is in. */
interface Folders {
  readonly ours: string;
  readonly fast: string;
  readonly peers: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Makes the folders anew. Ours is an empty repository, the other has the disk to be published, and an index that says so. */
async function makeFolders(
  disk: string,
  { cli, scratch }: PackBench,
  fields: readonly string[],
): Promise<Folders> {
  const [ours, fast, peers] = ['repo-ours', 'repo-fast', 'repo-peer'].map((name) => join(scratch, name)) as [
    string,
    string,
    string,
  ];
  for (const folder of [ours, fast, peers]) await rm(folder, { recursive: true, force: true });
  // The new key's secret half goes here too.
  const env = { TSBUILDER_DATA_DIR: join(scratch, 'repo-keys') };
  await rm(env.TSBUILDER_DATA_DIR, { recursive: true, force: true });
  for (const folder of [ours, fast])
    await run([process.execPath, cli, 'repo', 'init', folder, '--quiet'], env);
  await mkdir(peers);
  await link(disk, join(peers, 'debian-12'));
  const known = ['[debian-12]', 'name=Debian 12', 'arch=x86_64', 'file=debian-12.xz', 'size=4294967296'];
  await writeFile(join(peers, 'index'), `${[...known, ...fields].join('\n')}\n\n`);
  return { ours, fast, peers, env };
}

/** Adding `disk` as `revision` to one of our repositories. */
function adder(
  disk: string,
  { cli }: PackBench,
  to: { folder: string; revision: number; env: Folders['env'] },
): Contender {
  const { folder, revision, env } = to;
  return {
    name: 'tsbuilder repo add',
    command: [process.execPath, cli, 'repo', 'add', folder, disk, 'debian-12', '--quiet'],
    makes: [],
    result: join(folder, `debian-12-x86_64.r${revision}.xz`),
    rounds: 1,
    env,
  };
}

/**
 * What virt-builder-repository is measured with. Its version 1.48 fails at signing (guestfs-tools issue 13) and is run without. It removes the
 * disk when it is done, so it has a link to it.
 */
function peerAdder({ peers }: Folders): Contender {
  return {
    name: 'virt-builder-repository',
    command: ['virt-builder-repository', '--quiet', peers],
    makes: [],
    result: join(peers, 'debian-12.xz'),
    rounds: 1,
    env: APPLIANCE,
  };
}

/** Adding the first revision of a template, also with a preset that packs faster and less. */
export async function repositories(disk: string, inputs: PackBench): Promise<Contender[]> {
  const folders = await makeFolders(disk, inputs, []);
  const { ours, fast, env } = folders;
  const quick = adder(disk, inputs, { folder: fast, revision: 1, env });
  return [
    adder(disk, inputs, { folder: ours, revision: 1, env }),
    { ...quick, name: `${quick.name} --preset 1`, command: [...quick.command, '--preset', '1'] },
    peerAdder(folders),
  ];
}

/** Adding the disk `next` where `disk` is published already. */
export async function nextRevisions(
  { disk, next }: { disk: string; next: string },
  inputs: PackBench,
): Promise<Contender[]> {
  const { cli, template } = inputs;
  const sha512 = createHash('sha512')
    .update(await readFile(template))
    .digest('hex');
  const folders = await makeFolders(next, inputs, ['revision=1', `checksum[sha512]=${sha512}`]);
  await run(['cp', template, join(folders.peers, 'debian-12.xz')]);
  await run([process.execPath, cli, 'repo', 'add', folders.ours, disk, 'debian-12', '--quiet'], folders.env);
  const { ours, env } = folders;
  return [adder(next, inputs, { folder: ours, revision: 2, env }), peerAdder(folders)];
}
