import { type Range, endOf } from './partition.js';

/** Bytes `from..from+length` of the old disk that land at `to` on the new one. */
export interface Copy {
  readonly from: number;
  readonly to: number;
  readonly length: number;
}

/** `copy` without the source bytes in `holes`, in order. */
export function subtract(copy: Copy, holes: readonly Range[]): Copy[] {
  const pieces: Copy[] = [];
  const end = copy.from + copy.length;
  const shift = copy.to - copy.from;
  let at = copy.from;
  const add = (limit: number): void => {
    if (limit > at) pieces.push({ from: at, to: at + shift, length: limit - at });
  };
  for (const hole of [...holes].sort((a, b) => a.offset - b.offset)) {
    add(Math.min(hole.offset, end));
    at = Math.max(at, endOf(hole));
  }
  add(end);
  return pieces;
}

/** `copies` with neighbours that continue each other on both disks joined; they are sorted and disjoint already. */
export function merge(copies: readonly Copy[]): Copy[] {
  const merged: Copy[] = [];
  for (const copy of copies) {
    const last = merged.at(-1);
    if (last && last.from + last.length === copy.from && last.to + last.length === copy.to)
      merged[merged.length - 1] = { ...last, length: last.length + copy.length };
    else merged.push(copy);
  }
  return merged;
}
