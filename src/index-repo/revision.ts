/**
 * Compares two revisions in natural order: runs of digits as numbers of any length, other text by code unit, and a
 * revision that continues another is higher (`9` < `10`, `1.9` < `1.10`, `20230101` < `20230101.1`). Leading zeros do
 * not count.
 *
 * @returns negative when `a` is lower, positive when it is higher, 0 when neither is
 */
export function compareRevisions(a: string, b: string): number {
  const left = runs(a);
  const right = runs(b);
  for (let i = 0; i < Math.min(left.length, right.length); i += 1) {
    const order = compareRuns(left[i] ?? '', right[i] ?? '');
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

function runs(revision: string): string[] {
  return revision.match(/\d+|\D+/g) ?? [];
}

function compareRuns(a: string, b: string): number {
  if (isNumber(a) && isNumber(b)) return compareTexts(BigInt(a), BigInt(b));
  return compareTexts(a, b);
}

const isNumber = (text: string): boolean => /^\d/.test(text);

function compareTexts<T extends string | bigint>(a: T, b: T): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
