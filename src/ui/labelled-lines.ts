import { printable } from '../io/printable.js';

/** One line of a summary: what it is about, and what there is to say. */
export type Line = readonly [label: string, text: string];

/** The lines with their labels in one column, aligned at the colons; what a guest or an index says is made fit for a terminal. */
export function formatLines(lines: readonly Line[]): string {
  return lines.map(([label, text]) => `${`${label}:`.padStart(16)} ${printable(text)}`).join('\n');
}
