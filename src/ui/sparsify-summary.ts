import { formatSize } from '../io/format-size.js';
import { printable } from '../io/printable.js';
import type { SparsifyResult } from '../publish/run-sparsify.js';
import { formatTable } from './table.js';

/** What `tsbuilder sparsify` prints: a line for each region of the disk, and the sizes before and after. */
export function formatSparsifySummary(result: SparsifyResult): string {
  const { survey, output, free, allocatedBefore, allocatedAfter } = result;
  const rows = survey.regions
    .filter(
      ({ content, freeRanges, left }) => content !== 'table' && (freeRanges.length > 0 || left !== undefined),
    )
    .map(({ name, content, length, freeRanges, left }) => {
      const bytes = freeRanges.reduce((sum, range) => sum + range.length, 0);
      const what = left === undefined ? `${formatSize(bytes)} free` : `left: ${left}`;
      return [name, content === 'none' ? '' : content, formatSize(length), what].map(printable);
    });
  const after =
    allocatedAfter === undefined
      ? `${formatSize(free)} of ${formatSize(survey.size)} are free`
      : `occupied ${formatSize(allocatedBefore)}, now ${formatSize(allocatedAfter)}`;
  return [...formatTable(rows), `${printable(output)}: ${after}`].join('\n');
}
