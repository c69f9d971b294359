import type { TemplateEntry } from '../../index-repo/template-entry.js';
import { fetchBlockMap } from '../../index-repo/template-block-map.js';
import { TsbuilderError } from '../../errors.js';
import { openFileSource } from '../../io/file-source.js';
import { planResize } from '../../resize/plan-resize.js';
import { formatBlockMap } from '../../xz/block-map.js';
import { findDamage } from '../../xz/check-block-map.js';
import { makeBlockMap } from '../../xz/make-block-map.js';
import { readXzIndex } from '../../xz/xz-index.js';
import { withContentDisk } from './template-content.js';

const GROWTH = 2 * 1024 ** 3;

/** Runs the checks of one template of a repository on disk; each that fails is given to `report`, and the others go on. */
export async function verifyTemplate(
  entry: TemplateEntry,
  report: (error: TsbuilderError) => void,
  signal: AbortSignal,
): Promise<void> {
  for (const check of [checkBytes, checkMap, checkDisk]) {
    try {
      await check(entry, report, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TsbuilderError)) throw error;
      report(error);
    }
  }
}

type Check = typeof verifyTemplate;

const checkBytes: Check = async (entry, report, signal) => {
  await using source = await openFileSource(entry.url);
  const { compressedSize, sha512 } = entry;
  if (compressedSize !== undefined && compressedSize !== source.size)
    report(
      wrong('TSB_SIZE_MISMATCH', `${entry.url}: is ${source.size} bytes, the index says ${compressedSize}`),
    );
  const found = await makeBlockMap(source, await readXzIndex(source, { signal }), signal);
  if (sha512 !== undefined && sha512 !== found.sha512)
    report(
      wrong(
        'TSB_CHECKSUM_MISMATCH',
        `${entry.url}: has the SHA-512 ${found.sha512}, the index says ${sha512}`,
      ),
    );
};

const checkMap: Check = async (entry, report, signal) => {
  const map = await fetchBlockMap(entry, { signal });
  if (!map) return;
  await using source = await openFileSource(entry.url);
  let damaged = 0;
  for await (const { label } of findDamage(source, map, signal)) {
    damaged += 1;
    report(wrong('TSB_CHECKSUM_MISMATCH', `${entry.url}: ${label} is not what the block map says`));
  }
  if (damaged > 0) return;
  const found = await makeBlockMap(source, await readXzIndex(source, { signal }), signal);
  if (formatBlockMap(found) !== formatBlockMap(map))
    report(wrong('TSB_BLOCK_MAP_INVALID', `${entry.url}: its block map is not that of the file`));
};

const checkDisk: Check = (entry, report, signal) =>
  withContentDisk(entry.url, signal, async ({ disk }) => {
    const { name, size, expand, lvexpand } = entry;
    if (disk.size !== size)
      report(
        wrong('TSB_SIZE_MISMATCH', `${name}: the disk in it is ${disk.size} bytes, the index says ${size}`),
      );
    if (expand === undefined && lvexpand === undefined) return;
    const plan = await planResize({ source: disk, targetSize: disk.size + GROWTH, expand, lvexpand, signal });
    if (lvexpand !== undefined && !plan.grow.some(({ volume }) => volume))
      report(
        wrong('TSB_PARTITION_NOT_FOUND', `${name}: lvexpand=${lvexpand} names no volume that can be grown`),
      );
  });

function wrong(code: TsbuilderError['code'], message: string): TsbuilderError {
  return new TsbuilderError(code, message);
}
