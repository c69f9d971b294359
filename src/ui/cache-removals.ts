import type { GcRemoval } from '../index-repo/template-cache-gc.js';
import { formatSize } from '../io/format-size.js';

const REASONS = {
  age: 'not used for long',
  size: 'too much in total',
  unreferenced: 'no index refers to it',
  partial: 'partial download',
  quarantine: 'damaged',
  cleared: 'cleared',
} as const satisfies Record<GcRemoval['reason'], string>;

/** What was removed, or with `dryRun` would be: a line for each file, and one for all. */
export function formatRemovals(removed: readonly GcRemoval[], dryRun = false): string[] {
  const total = removed.reduce((sum, { size }) => sum + size, 0);
  const lines = removed.map(
    ({ name, path, size, reason }) => `${name ?? path}: ${formatSize(size)}, ${REASONS[reason]}`,
  );
  const files = removed.length === 1 ? '1 file' : `${removed.length} files`;
  return [...lines, `${files}, ${formatSize(total)} ${dryRun ? 'would be freed' : 'freed'}`];
}
