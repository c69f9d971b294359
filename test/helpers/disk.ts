import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import type { ResizePlan } from '../../src/resize/plan-resize.js';
import { mapRange } from '../../src/resize/plan-resize.js';

export const KIB = 1024;
export const MIB = 1024 * KIB;

/** What a program printed; its exit status must be 0. */
export function run(file: string, args: readonly string[], input = ''): string {
  return execFileSync(file, args, {
    input,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
    maxBuffer: 64 * MIB,
  });
}

/** Makes a sparse file of `size` bytes. */
export function makeSparse(path: string, size: number): string {
  const fd = openSync(path, 'w');
  ftruncateSync(fd, size);
  closeSync(fd);
  return path;
}

/** Makes a sparse disk of `size` bytes with the partitions of an sfdisk script. */
export function makeDisk(path: string, size: number, script: string): string {
  run('sfdisk', ['-q', '--no-reread', '--no-tell-kernel', makeSparse(path, size)], script);
  return path;
}

/** The same for a disk with 4096-byte sectors, which only fdisk can pretend to have. */
export function makeDisk4k(path: string, size: number, script: string): string {
  writeFileSync(`${path}.sfdisk`, `unit: sectors\nsector-size: 4096\n${script}`);
  run('fdisk', ['-b', '4096', '-w', 'never', makeSparse(path, size)], `I\n${path}.sfdisk\nw\n`);
  return path;
}

/** Writes `data` into an existing file. */
export function patch(path: string, offset: number, data: Uint8Array): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, data, 0, data.length, offset);
  closeSync(fd);
}

/** `length` bytes of a file from `offset`. */
export function peek(path: string, offset: number, length: number): Buffer {
  const data = Buffer.alloc(length);
  const fd = openSync(path, 'r');
  readSync(fd, data, 0, length, offset);
  closeSync(fd);
  return data;
}

/** Carries out `plan` as a build does: pieces of `chunk` bytes go where the plan maps them, then the tables are written. */
export function applyPlan(plan: ResizePlan, source: string, target: string, chunk = MIB): void {
  const from = openSync(source, 'r');
  const to = openSync(makeSparse(target, plan.targetSize), 'r+');
  const data = Buffer.alloc(chunk);
  const zeros = Buffer.alloc(chunk);
  for (let at = 0; at < plan.sourceSize; at += chunk) {
    const length = readSync(from, data, 0, chunk, at);
    if (data.equals(zeros)) continue;
    for (const piece of mapRange(plan, at, length))
      writeSync(to, data, piece.from - at, piece.length, piece.to);
  }
  for (const { offset, data: literal } of plan.literals) writeSync(to, literal, 0, literal.length, offset);
  closeSync(from);
  closeSync(to);
}

/** One partition as `sfdisk -J` tells it. */
interface SfdiskPartition {
  readonly node: string;
  readonly start: number;
  readonly size: number;
  readonly type: string;
  readonly uuid?: string;
  readonly name?: string;
  readonly attrs?: string;
  readonly bootable?: boolean;
}

/** The table as `sfdisk -J` tells it, partitions by number. */
export function readWithSfdisk(path: string): {
  label: string;
  id: string;
  lastlba?: number;
  partitions: Map<number, SfdiskPartition>;
} {
  const { partitiontable } = JSON.parse(run('sfdisk', ['-J', path])) as {
    partitiontable: { label: string; id: string; lastlba?: number; partitions?: SfdiskPartition[] };
  };
  const { partitions = [], ...rest } = partitiontable;
  return {
    ...rest,
    partitions: new Map(partitions.map((one) => [Number(one.node.slice(path.length)), one])),
  };
}

/** The start and end sectors and GUIDs that `fdisk -b 4096` sees, by partition number. */
export function readWithFdisk4k(path: string): Map<number, { start: number; end: number; rest: string }> {
  const columns =
    peek(path, 4096, 8).toString() === 'EFI PART' ? 'Device,Start,End,Type-UUID,UUID' : 'Device,Start,End,Id';
  const lines = run('fdisk', ['-b', '4096', '-l', '-o', columns, path]).split('\n');
  const rows = lines
    .filter((line) => line.startsWith(path))
    .map((line) => line.slice(path.length).trim().split(/\s+/));
  return new Map(
    rows.map(([number, start, end, ...rest]) => [
      Number(number),
      { start: Number(start), end: Number(end), rest: rest.join(' ') },
    ]),
  );
}

/** Complaints of `sfdisk --verify` and, for a GPT, `sgdisk -v`; empty when both are content. */
export function complaintsAbout(path: string, label: string): string[] {
  const sfdisk = run('sfdisk', ['--verify', path]);
  const found = /No errors detected/.test(sfdisk) ? [] : [sfdisk];
  if (label === 'gpt') {
    const sgdisk = run('sgdisk', ['-v', path]);
    if (!/No problems found/.test(sgdisk)) found.push(sgdisk);
  }
  return found;
}

/** The whole file; for disks of some MiB. */
export function slurp(path: string): Buffer {
  return readFileSync(path);
}
