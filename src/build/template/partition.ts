import { open } from 'node:fs/promises';
import { TsbuilderError } from '../../errors.js';
import { writeFully } from '../../image/write-fully.js';
import { e2fsEnv } from '../../io/e2fs-env.js';
import { exec } from '../../io/exec.js';
import type { TemplateContext } from './context.js';

const SECTOR = 512;

/** A place on a disk, in bytes. */
export interface Place {
  readonly offset: number;
  readonly length: number;
}

/** One line of a script for sfdisk(8): a partition at `place` with the other fields in `rest`. */
export function partitionLine({ offset, length }: Place, rest: string): string {
  return `start=${offset / SECTOR}, size=${length / SECTOR}, ${rest}`;
}

/** Makes a sparse file of `size` bytes. */
export async function createSparse(path: string, size: number): Promise<void> {
  await using handle = await open(path, 'wx');
  await handle.truncate(size);
}

/** Makes the disk of a template, a sparse file, with the partition table that `lines` describe to sfdisk. */
export async function createDisk(
  { recipe, signal }: TemplateContext,
  disk: string,
  lines: readonly string[],
): Promise<void> {
  await createSparse(disk, recipe.size);
  const input = `${['unit: sectors', ...lines].join('\n')}\n`;
  const options = { input, env: e2fsEnv(), signal, debianPackage: 'fdisk' };
  await exec('sfdisk', ['--quiet', '--no-reread', '--no-tell-kernel', disk], options);
}

/** Writes the data of the file `from` at `offset`, whole MiB, of the disk; what is zero in it stays a hole. */
export async function placeFile(
  { signal }: TemplateContext,
  from: string,
  { disk, offset }: { disk: string; offset: number },
): Promise<void> {
  const place = [`of=${disk}`, `seek=${offset / 1024 ** 2}`, 'bs=1M'];
  await exec('dd', [`if=${from}`, ...place, 'conv=notrunc,sparse', 'status=none'], { signal });
}

/** Writes data over parts of a disk. */
export async function writePieces(
  path: string,
  pieces: readonly { readonly offset: number; readonly data: Buffer }[],
): Promise<void> {
  await using handle = await open(path, 'r+');
  for (const { offset, data } of pieces) await writeFully({ path, handle }, offset, data);
}

/**
 * Refuses a recipe whose disk is too small for its layout, or whose machine the layout cannot start.
 *
 * @throws TSB_RECIPE_INVALID
 */
export function assertFits({ recipe }: TemplateContext, root: Place, smallest: number): void {
  const { path, layout, arch, size } = recipe;
  const fail = (what: string): never => {
    throw new TsbuilderError('TSB_RECIPE_INVALID', `${path}: ${what}`);
  };
  if (arch !== 'x86_64') fail(`layout ${layout} cannot be made for ${arch}`);
  if (root.length < smallest)
    fail(
      `${size} bytes are too few for layout ${layout}: at least ${size - root.length + smallest} are needed`,
    );
}
