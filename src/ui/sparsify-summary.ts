import { formatSize } from '../io/format-size.js';
import { printable } from '../io/printable.js';
import type { SparsifyResult } from '../publish/run-sparsify.js';
import { formatTable } from './table.js';

/** What `tsbuilder sparsify` prints: a line for each region of the disk, and the sizes before and after. */
export function formatSparsifySummary(result: SparsifyResult): string {
  const { survey, output } = result;
  const rows = survey.regions
    .filter(
      ({ content, freeRanges, left }) => content !== 'table' && (freeRanges.length > 0 || left !== undefined),
    )
    .map(({ name, content, length, freeRanges, left }) => {
      const bytes = freeRanges.reduce((sum, range) => sum + range.length, 0);
      const what = left === undefined ? `${formatSize(bytes)} free` : `left: ${left}`;
      return [name, content === 'none' ? '' : content, formatSize(length), what].map(printable);
    });
  return [...formatTable(rows), `${printable(output)}: ${outcome(result)}`].join('\n');
}

function outcome({ survey, free, allocatedBefore, allocatedAfter, discarded }: SparsifyResult): string {
  if (discarded !== undefined) return `${formatSize(discarded)} of ${formatSize(survey.size)} were discarded`;
  if (allocatedAfter === undefined) return `${formatSize(free)} of ${formatSize(survey.size)} are free`;
  const before = allocatedBefore === undefined ? '' : `occupied ${formatSize(allocatedBefore)}, `;
  return `${before}now ${formatSize(allocatedAfter)}`;
}
