import type { RecipeFile } from './schema.js';

/** A file of these lines, readable by all. */
export function textFile(path: string, lines: readonly string[]): RecipeFile {
  return { path, content: `${lines.join('\n')}\n`, mode: '0644' };
}
