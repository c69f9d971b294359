import { chmod, truncate, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { exec } from '../../io/exec.js';
import { type OutputFile, openOutputFile } from '../../io/output-file.js';
import { openScratchFolder } from '../../io/scratch-folder.js';
import type { SeedFiles } from './seed-files.js';

/** FAT16 begins at 4085 clusters; this has fewer: a FAT12 that every guest reads. */
const MIN_BYTES = 1024 * 1024;
const SECTOR = 512;

/** How {@link openCidata} is to work. */
export interface CidataOptions {
  /** Seconds since 1970 for the files' times, so that the same disk is made twice. */
  readonly now: number;
  /** Serial number of the filesystem, 32 bits. */
  readonly volumeId: number;
  /** Take the place of an existing file. Default: refuse. */
  readonly force?: boolean | undefined;
  readonly sync?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes a disk that cloud-init takes a NoCloud seed from: a FAT filesystem, without partitions, labelled CIDATA. Readable for its owner only.
 *
 * @param path the disk to be made; it appears with `commit`
 * @throws TSB_OUTPUT_EXISTS and others of {@link openOutputFile}; TSB_TOOL_MISSING without dosfstools and mtools
 */
export async function openCidata(
  path: string,
  files: SeedFiles,
  options: CidataOptions,
): Promise<OutputFile> {
  const output = await openOutputFile(path, options);
  try {
    await fill(output.tempPath, files, options);
    return output;
  } catch (error) {
    await output[Symbol.asyncDispose]();
    throw error;
  }
}

async function fill(disk: string, files: SeedFiles, options: CidataOptions): Promise<void> {
  await using folder = await openScratchFolder('cidata');
  for (const [name, data] of files) await writeFile(join(folder.path, name), data, { mode: 0o600 });
  await makeFilesystem(disk, { files, folder: folder.path, options });
}

async function makeFilesystem(
  disk: string,
  what: { files: SeedFiles; folder: string; options: CidataOptions },
): Promise<void> {
  const { files, folder, options } = what;
  const { signal } = options;
  // User data often has secrets.
  await chmod(disk, 0o600);
  await truncate(disk, diskSize(files));
  const id = (options.volumeId >>> 0).toString(16).padStart(8, '0');
  const path = `${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/sbin:/sbin`;
  await exec('mkfs.vfat', ['--invariant', '-n', 'CIDATA', '-i', id, resolve(disk)], {
    env: { PATH: path },
    debianPackage: 'dosfstools',
    signal,
  });
  await exec('mcopy', ['-i', resolve(disk), ...files.keys(), '::/'], {
    cwd: folder,
    // Nobody's own settings matter here.
    env: { SOURCE_DATE_EPOCH: String(options.now), TZ: 'UTC', MTOOLSRC: '/dev/null', MTOOLS_SKIP_CHECK: '1' },
    debianPackage: 'mtools',
    signal,
  });
}

/** Room for the files, their tables and folder, in whole sectors. */
function diskSize(files: SeedFiles): number {
  const content = [...files.values()].reduce((sum, data) => sum + data.length, 0);
  return Math.max(MIN_BYTES, Math.ceil((content * 1.05 + MIN_BYTES) / SECTOR) * SECTOR);
}
