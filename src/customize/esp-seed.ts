import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuilderError } from '../errors.js';
import type { GuestPartition } from '../guest/find-root.js';
import { type E2fsScratch, openE2fsScratch } from '../io/e2fs-env.js';
import { type ExecResult, exec } from '../io/exec.js';
import { openFileSource } from '../io/file-source.js';
import type { RandomSource } from '../io/random.js';

const SEED_BYTES = 512;
const SEED = '::/loader/random-seed';

/** systemd-boot's program on an EFI system partition; `bootctl install` puts it there under these names. */
const BOOT_FOLDER = '::/EFI/systemd';
const BOOT_PROGRAM = /systemd-boot[a-z0-9]*\.efi/i;

/** How {@link seedSystemdBoot} is to work. */
export interface EspOptions {
  readonly random: RandomSource;
  /** Seconds since 1970 for the file's time. Default: now. */
  readonly fakeTime?: number | undefined;
  /** Told when a partition that may have systemd-boot could not be looked at. */
  readonly warn?: ((message: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes `/loader/random-seed` on every FAT partition that has systemd-boot, which passes it on to the kernel. Uses
 * mtools, without root; where mtools is not installed a warning is given instead.
 *
 * @returns what was done, one line each, for the summary
 * @throws TSB_TOOL_FAILED when the partition cannot be written
 */
export async function seedSystemdBoot(
  disk: { path: string; partitions: readonly GuestPartition[] },
  options: EspOptions,
): Promise<string[]> {
  const done: string[] = [];
  for (const { number, offset } of await fatPartitions(disk)) {
    await using scratch = await openE2fsScratch(disk.path, offset);
    const mtools = mtoolsOn(scratch, offset, options);
    try {
      if (!(await hasSystemdBoot(mtools))) continue;
    } catch (error) {
      if (!(error instanceof TsbuilderError) || error.code !== 'TSB_TOOL_MISSING') throw error;
      options.warn?.(
        `mtools is not installed: if partition ${number} has systemd-boot, its random seed is the template's`,
      );
      continue;
    }
    await writeFile(join(scratch.folder, 'seed'), options.random.bytes(SEED_BYTES, `esp ${number}`), {
      mode: 0o600,
    });
    await mtools('mcopy', ['-D', 'o', 'seed', SEED]);
    done.push(`random seed /loader/random-seed on partition ${number}`);
  }
  return done;
}

type Mtools = (program: string, args: readonly string[], okStatus?: readonly number[]) => Promise<ExecResult>;

/** Runs mtools on the file system at `offset`; they take `FILE@@OFFSET` for a drive. */
function mtoolsOn(scratch: E2fsScratch, offset: number, options: EspOptions): Mtools {
  const time = options.fakeTime === undefined ? {} : { SOURCE_DATE_EPOCH: String(options.fakeTime) };
  return (program, args, okStatus) =>
    exec(program, ['-i', `disk@@${offset}`, ...args], {
      cwd: scratch.folder,
      // The sizes that old floppies had are no rule for a disk; nobody's own settings matter here.
      env: { ...time, TZ: 'UTC', MTOOLSRC: '/dev/null', MTOOLS_SKIP_CHECK: '1' },
      debianPackage: 'mtools',
      signal: options.signal,
      ...(okStatus ? { okStatus } : {}),
    });
}

async function hasSystemdBoot(mtools: Mtools): Promise<boolean> {
  const { status, stdout } = await mtools('mdir', ['-b', BOOT_FOLDER], [0, 1]);
  if (status !== 0 || !BOOT_PROGRAM.test(stdout)) return false;
  return (await mtools('mdir', ['-b', '::/loader'], [0, 1])).status === 0;
}

/** The partitions whose boot sector says FAT. */
async function fatPartitions(disk: {
  path: string;
  partitions: readonly GuestPartition[];
}): Promise<GuestPartition[]> {
  await using source = await openFileSource(disk.path);
  const found: GuestPartition[] = [];
  for (const partition of disk.partitions) {
    if (partition.offset + 512 > source.size || partition.length < 512) continue;
    const sector = Buffer.from(await source.read(partition.offset, 512));
    const label = sector.toString('latin1', 54, 57) === 'FAT' || sector.toString('latin1', 82, 85) === 'FAT';
    if (label && sector.readUInt16LE(510) === 0xaa55) found.push(partition);
  }
  return found;
}
