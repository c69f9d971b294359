import { addFields, allFields } from './account-file.js';
import { parseId } from './passwd.js';

/** Where ranges of subordinate ids may be and how long a new one is. */
export interface SubidRange {
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

/**
 * A subuid or subgid file (subuid(5)) with a range for `name` behind all the others. The same text when `name` has one already or
 * there is no room.
 */
export function addSubid(text: string, name: string, range: SubidRange): string {
  const lines = allFields(text);
  if (range.count === 0 || lines.some(([owner]) => owner === name)) return text;
  const ends = lines.map(([, start, count]) => (parseId(start) ?? 0) + (parseId(count) ?? 0));
  const start = ends.reduce((highest, end) => Math.max(highest, end), range.min);
  if (start + range.count - 1 > range.max) return text;
  return addFields(text, [name, String(start), String(range.count)]);
}
