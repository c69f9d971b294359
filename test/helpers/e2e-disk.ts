import { readFileSync } from 'node:fs';
import { MIB, complaintsAbout, readWithSfdisk, run } from './disk.js';
import { PAYLOAD, ROOT, sha512 } from './e2e-template.js';

/** What a disk built from the template is, by the word of other tools. */
export interface ExaminedDisk {
  /** Of sfdisk and sgdisk; empty when they are content. */
  readonly complaints: readonly string[];
  /** Length of the root filesystem's partition in bytes. */
  readonly rootPartition: number;
  /** Length of the root filesystem in bytes. */
  readonly rootFilesystem: number;
  readonly machineId: string;
  /** Length of the random seed, its mode and owner. */
  readonly randomSeed: { readonly bytes: Buffer; readonly mode: string; readonly owner: string };
  /** Whether the file that the template brought is unchanged. */
  readonly payloadIntact: boolean;
}

/** Examines the raw disk at `path`. @throws when e2fsck finds anything */
export function examineDisk(path: string): ExaminedDisk {
  const device = `${path}?offset=${ROOT.offset}`;
  run('e2fsck', ['-fn', device]);
  const read = (file: string): Buffer => {
    const copy = `${path}.dump`;
    run('debugfs', ['-R', `dump ${file} ${copy}`, device]);
    const data = readFileSync(copy);
    run('rm', [copy]);
    return data;
  };
  const seed = run('debugfs', ['-R', 'stat /var/lib/systemd/random-seed', device]);
  const info = run('dumpe2fs', ['-h', device]);
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(info)?.[1]);
  return {
    complaints: complaintsAbout(path, 'gpt'),
    rootPartition: (readWithSfdisk(path).partitions.get(2)?.size ?? 0) * 512,
    rootFilesystem: field('Block count') * field('Block size'),
    machineId: read('/etc/machine-id').toString(),
    randomSeed: {
      bytes: read('/var/lib/systemd/random-seed'),
      mode: /Mode:\s+(\d+)/.exec(seed)?.[1] ?? '',
      owner: /User:\s+(\d+)\s+Group:\s+(\d+)/.exec(seed)?.slice(1).join(':') ?? '',
    },
    payloadIntact: sha512(read(PAYLOAD.path)) === sha512(PAYLOAD.data),
  };
}

/** The free space that a GPT needs behind the last partition, rounded up to where partitions begin. */
export const TAIL = MIB;
