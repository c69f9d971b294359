import { TsbuilderError } from '../../errors.js';
import type { TemplateFields } from '../../index-repo/publish-entry.js';
import type { ByteSource } from '../../io/byte-source.js';
import { planResize } from '../../resize/plan-resize.js';

/** By how much a template that says what grows is grown, in bytes. */
export const GROWTH = 2 * 1024 ** 3;

/**
 * Plans how what an entry says is grown would grow.
 *
 * @throws TSB_PARTITION_NOT_FOUND, TSB_FILESYSTEM and the other codes of `planResize` when it cannot
 */
export async function assertGrows(
  disk: ByteSource,
  entry: Pick<TemplateFields, 'name' | 'expand' | 'lvexpand'>,
  signal: AbortSignal,
): Promise<void> {
  const { name, expand, lvexpand } = entry;
  if (expand === undefined && lvexpand === undefined) return;
  const plan = await planResize({ source: disk, targetSize: disk.size + GROWTH, expand, lvexpand, signal });
  if (lvexpand === undefined || plan.grow.some(({ volume }) => volume)) return;
  throw new TsbuilderError(
    'TSB_PARTITION_NOT_FOUND',
    `${name}: lvexpand=${lvexpand} names no volume that can be grown`,
  );
}
