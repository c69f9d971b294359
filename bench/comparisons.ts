import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryFolder, type Inputs } from './inputs.js';
import { customizers } from './customize.js';
import type { Contender } from './measure.js';
import {
  type PackBench,
  freshDisk,
  nextDisk,
  nextRevisions,
  packers,
  repositories,
  sparsifiers,
  usedDisk,
} from './pack.js';
import { copiers, randomReaders } from './serve-reads.js';
import { booters } from './serve-boot.js';

export const ROOT = join(import.meta.dirname, '..');
export const CLI = join(ROOT, 'dist', 'main.cjs');
export const SCRATCH = process.env['TSBUILDER_BENCH_DIR'] ?? join(tmpdir(), 'tsbuilder-bench');

/** Some contenders for one job. */
export interface Comparison {
  readonly id: string;
  readonly title: string;
  readonly about: string;
  /** Makes what they work with, which may take minutes. */
  readonly prepare: () => readonly Contender[] | Promise<readonly Contender[]>;
}

const out = (name: string): string => join(SCRATCH, name);
const shell = (script: string, ...args: string[]): [string, ...string[]] => [
  'sh',
  '-c',
  script,
  'sh',
  ...args,
];

/** Unpacking `file` by us and by everyone who can. */
function unpackers(file: string): Contender[] {
  const copy = out('copy.img');
  const link = out('peer.img.xz');
  const ours = out('ours.img');
  return [
    {
      name: 'tsbuilder unxz',
      command: [process.execPath, CLI, 'unxz', file, ours, '--quiet'],
      makes: [ours],
    },
    {
      name: `xz -T${availableParallelism()} -dk`,
      command: shell('ln -sf "$1" "$2" && xz -T0 -dkf "$2"', file, link),
      makes: [link, out('peer.img')],
    },
    { name: 'pixz -d', command: ['pixz', '-d', file, copy], makes: [copy] },
    { name: '7zz x', command: shell('7zz x -so "$1" > "$2"', file, copy), makes: [copy] },
    {
      name: 'nbdkit xz + nbdcopy',
      command: ['nbdkit', '-U', '-', '--filter=xz', 'file', file, '--run', `nbdcopy "$uri" "${copy}"`],
      makes: [copy],
    },
  ];
}

function builders(): Contender[] {
  const disk = out('build.img');
  const index = join(repositoryFolder(), 'index.asc');
  const common = ['debian-12', '--size', '10G'];
  return [
    {
      name: 'tsbuilder debian-12 --size 10G',
      command: [
        process.execPath,
        CLI,
        ...common,
        '--source',
        index,
        '--key',
        join(repositoryFolder(), 'key.asc'),
        '-o',
        disk,
        '--quiet',
      ],
      makes: [disk],
    },
    {
      name: 'virt-builder debian-12 --size 10G',
      command: [
        'virt-builder',
        ...common,
        '--source',
        `file://${index}`,
        '--no-check-signature',
        '-o',
        disk,
        '--quiet',
      ],
      makes: [disk],
      rounds: 1,
      // Only the given source, as with tsbuilder; and QEMU without KVM, which not every machine has.
      env: {
        VIRT_BUILDER_DIRS: '/nonexistent',
        LIBGUESTFS_BACKEND: 'direct',
        LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg',
      },
    },
  ];
}

/** Options that choose and trust the local repository. */
function localSource(): string[] {
  return ['--source', join(repositoryFolder(), 'index.asc'), '--key', join(repositoryFolder(), 'key.asc')];
}

function starters(): Contender[] {
  return [
    { name: 'tsbuilder --version', command: [process.execPath, CLI, '--version'], makes: [] },
    { name: 'node -e 0', command: [process.execPath, '-e', '0'], makes: [] },
  ];
}

/** All comparisons. `url` is where the template is on a web server. */
export function comparisons(inputs: Inputs, url: string): Comparison[] {
  const served = { cli: CLI, template: inputs.template, scratch: SCRATCH };
  return [
    {
      id: 'template',
      title: 'Unpack the debian-12 template',
      about: '4 GiB virtual, mostly zeros, xz blocks of 16 MiB, to a new file.',
      prepare: () => unpackers(inputs.template),
    },
    {
      id: 'dense',
      title: 'Unpack a dense image',
      about: '256 MiB of the same data without zeros, xz blocks of 16 MiB.',
      prepare: () => unpackers(inputs.dense),
    },
    {
      id: 'streams',
      title: 'Unpack a file of 256 streams',
      about: 'The dense image as 256 concatenated one-block streams of 1 MiB.',
      prepare: () => unpackers(inputs.streams),
    },
    {
      id: 'build',
      title: 'Build debian-12, 10 GiB, raw',
      about: 'From a local repository: decode, grow partition and filesystem, seed.',
      prepare: () => builders(),
    },
    {
      id: 'reads1',
      title: 'Serve: random reads, one at a time',
      about:
        '300 reads of 4 KiB anywhere in the blocks of the debian-12 template that hold data, start and end of the server included. ' +
        'Cold read: median of the first read of each block.',
      prepare: () => randomReaders(served, 1),
    },
    {
      id: 'reads16',
      title: 'Serve: random reads, 16 at a time',
      about: 'The same reads with 16 requests under way.',
      prepare: () => randomReaders(served, 16),
    },
    {
      id: 'copy',
      title: 'Serve: copy of the whole template',
      about: 'nbdcopy from the server to a new file.',
      prepare: () => copiers(served),
    },
    {
      id: 'boot',
      title: 'Serve: boot over HTTP',
      about:
        'From the start of the server to a login prompt in QEMU without KVM; the compressed template stays on a web server, what the guest ' +
        'writes is thrown away.',
      prepare: () => booters(CLI, url),
    },
    {
      id: 'customize',
      title: 'Customise a debian-12 disk',
      about:
        'Eight operations (host name, root password, SSH key, time zone, upload, write, mkdir, first-boot script) on the raw disk of 4 GiB, in place.',
      prepare: () => customizers({ cli: CLI, scratch: SCRATCH, source: localSource() }),
    },
    ...packComparisons({ cli: CLI, template: inputs.template, scratch: SCRATCH }),
    { id: 'start', title: 'Start-up', about: 'Bare start of the program.', prepare: () => starters() },
  ];
}

function packComparisons(inputs: PackBench): Comparison[] {
  return [
    {
      id: 'pack',
      title: 'Pack the fresh debian-12 disk',
      about:
        '4 GiB raw, two jobs, preset 6, blocks of 16 MiB. Ours decodes the new file again and compares it, unless told not to.',
      prepare: async () => packers(await freshDisk(inputs), inputs),
    },
    {
      id: 'pack-used',
      title: 'Pack a disk with deleted files',
      about: 'The same disk after 1 GiB of random files was written and deleted.',
      prepare: async () => packers(await usedDisk(inputs), inputs),
    },
    {
      id: 'sparsify',
      title: 'Sparsify the fresh debian-12 disk in place',
      about: 'Free blocks become holes in the file; here they are already, and that is found.',
      prepare: async () => sparsifiers(await freshDisk(inputs), inputs),
    },
    {
      id: 'sparsify-used',
      title: 'Sparsify a disk with deleted files in place',
      about:
        'The disk of which 1 GiB is given back. How long that takes is up to the filesystem of the machine: one that is mounted with `discard` and has no journal ' +
        'waits for its own disk.',
      prepare: async () => sparsifiers(await usedDisk(inputs), inputs),
    },
    {
      id: 'repo-add',
      title: 'Add the fresh debian-12 disk to a repository',
      about:
        'Inspect, pack and write the index. Ours packs with preset 6 and two jobs, verifies the result and signs; virt-builder-repository packs with ' +
        'preset 9 and one thread, and does neither. With preset 1 ours is packed faster and is larger.',
      prepare: async () => repositories(await freshDisk(inputs), inputs),
    },
    {
      id: 'repo-next',
      title: 'Add its next revision',
      about:
        'The same disk after its host name was changed and a package of 300 KB installed (by virt-customize), where the disk before is in the repository. Ours takes ' +
        'blocks with the same content from that revision, and makes the same file as without; virt-builder-repository packs all of the disk again.',
      prepare: async () =>
        nextRevisions({ disk: await freshDisk(inputs), next: await nextDisk(inputs) }, inputs),
    },
  ];
}
