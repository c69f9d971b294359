/** Number of single-character insertions, deletions and replacements that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

const MAX_LENGTH = 128;

/**
 * The names a user may have meant by `wanted`: those that begin with it or differ in a third of their letters at most,
 * closest first, no more than five.
 */
export function closeNames(wanted: string, names: readonly string[]): string[] {
  const text = wanted.slice(0, MAX_LENGTH).toLowerCase();
  const ranked = [...new Set(names)].map((name) => {
    const lower = name.slice(0, MAX_LENGTH).toLowerCase();
    const begins = text !== '' && (lower.startsWith(text) || text.startsWith(lower));
    return { name, distance: begins ? 0.5 : editDistance(text, lower) };
  });
  return ranked
    .filter(({ distance }) => distance <= Math.max(1, text.length / 3))
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, 5)
    .map(({ name }) => name);
}
