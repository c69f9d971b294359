import { fetchBlockMap } from '../../index-repo/template-block-map.js';
import type { TemplateEntry } from '../../index-repo/template-entry.js';
import { TsbuilderError } from '../../errors.js';
import { openFileSource } from '../../io/file-source.js';
import type { BlockMap } from '../../xz/block-map.js';
import { differingRanges, isTiledAlike } from '../../xz/check-block-map.js';
import { makeBlockMap } from '../../xz/make-block-map.js';
import { readXzIndex } from '../../xz/xz-index.js';
import { assertGrows } from './plan-growth.js';
import { withContentDisk } from './template-content.js';

/** Takes a fault, and the work goes on. */
export type Report = (error: TsbuilderError) => void;

/**
 * Runs the checks of one template of a repository on disk; each that fails is given to `report`, and the others go on. The file is read
 * once, and besides that what a plan of its growth needs.
 */
export async function verifyTemplate(
  entry: TemplateEntry,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  for (const check of [checkFile, checkDisk]) await reporting(report, () => check(entry, report, signal));
}

/** Runs a check and reports how it failed; what is no fault of what is checked, such as an interruption, is thrown. */
export async function reporting(report: Report, check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch (error) {
    if (!(error instanceof TsbuilderError) || error.code === 'TSB_INTERRUPTED') throw error;
    report(error);
  }
}

type Check = typeof verifyTemplate;

const checkFile: Check = async (entry, report, signal) => {
  const { url, compressedSize, sha512 } = entry;
  await using source = await openFileSource(url);
  if (compressedSize !== undefined && compressedSize !== source.size)
    report(wrong('TSB_SIZE_MISMATCH', `${url}: is ${source.size} bytes, the index says ${compressedSize}`));
  const found = await makeBlockMap(source, await readXzIndex(source, { signal }), signal);
  if (sha512 !== undefined && sha512 !== found.sha512)
    report(
      wrong('TSB_CHECKSUM_MISMATCH', `${url}: has the SHA-512 ${found.sha512}, the index says ${sha512}`),
    );
  await reporting(report, () => checkMap(entry, { found, report, signal }));
};

async function checkMap(
  entry: TemplateEntry,
  { found, report, signal }: { found: BlockMap; report: Report; signal: AbortSignal },
): Promise<void> {
  const map = await fetchBlockMap(entry, { signal });
  if (!map) return;
  if (!isTiledAlike(found, map))
    report(wrong('TSB_BLOCK_MAP_INVALID', `${entry.url}: its block map is not that of the file`));
  else
    for (const { label } of differingRanges(found, map))
      report(wrong('TSB_CHECKSUM_MISMATCH', `${entry.url}: ${label} is not what the block map says`));
}

const checkDisk: Check = (entry, report, signal) =>
  withContentDisk(entry.url, signal, async ({ disk }) => {
    const { name, size } = entry;
    if (disk.size !== size)
      report(
        wrong('TSB_SIZE_MISMATCH', `${name}: the disk in it is ${disk.size} bytes, the index says ${size}`),
      );
    await assertGrows(disk, entry, signal);
  });

function wrong(code: TsbuilderError['code'], message: string): TsbuilderError {
  return new TsbuilderError(code, message);
}
