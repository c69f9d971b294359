import { isDeepStrictEqual } from 'node:util';
import type { GrowableKind } from './choose-partition.js';
import type { Range } from './partition.js';
import type { Copy } from './ranges.js';
import type { Literal } from './relocation.js';

/** One filesystem (or swap area, or physical volume) to be grown to the length of its partition. */
export interface GrowStep extends Range {
  /** 0 when the disk has no partition table. */
  readonly partition: number;
  readonly content: GrowableKind;
  /** `ext4`, `xfs`, `LVM2_member` ... */
  readonly name: string;
  /** Bytes that the content occupies before. */
  readonly oldSize: number;
  /** The logical volume that gets the new space, with `content: 'lvm-pv'` only. */
  readonly volume?:
    { readonly device: string; readonly content: GrowableKind; readonly name: string } | undefined;
}

/** A partition that is not where, or not as long as, it was. */
export interface PartitionChange {
  readonly partition: number;
  /** What it holds, where that was looked at. */
  readonly content?: string | undefined;
  readonly from: Range;
  readonly to: Range;
}

/** Where each source range lands, what is written on top, what is grown afterwards. Pure data; sizes in bytes. */
export interface ResizePlan {
  readonly sourceSize: number;
  /** The size asked for, rounded up to whole sectors. */
  readonly targetSize: number;
  readonly table: 'gpt' | 'mbr' | 'none';
  readonly sectorSize: number;
  /** Sorted by `from`, disjoint on both disks, as few as possible. What no copy covers is zero on the new disk. */
  readonly copies: readonly Copy[];
  /** Partition tables: written last. */
  readonly literals: readonly Literal[];
  readonly grow: readonly GrowStep[];
  readonly changes: readonly PartitionChange[];
  /** What the user should know, one sentence each. */
  readonly notes: readonly string[];
}

/** The plan that changes nothing: every byte stays where it is. */
export function identityPlan(size: number): ResizePlan {
  return {
    sourceSize: size,
    targetSize: size,
    table: 'none',
    sectorSize: 512,
    copies: size > 0 ? [{ from: 0, to: 0, length: size }] : [],
    literals: [],
    grow: [],
    changes: [],
    notes: [],
  };
}

/** Whether two plans would make the same disk from the same bytes. */
export function sameResizePlan(a: ResizePlan, b: ResizePlan): boolean {
  return isDeepStrictEqual(plain(a), plain(b));
}

function plain(plan: ResizePlan): unknown {
  const literals = plan.literals.map(({ offset, data }) => ({ offset, data: Uint8Array.from(data) }));
  return { ...plan, literals };
}

/**
 * The pieces of source range `offset..offset+length` that are copied, in order, and where they land. Bytes that the plan
 * replaces are left out. Logarithmic in the number of copies.
 */
export function* mapRange(plan: ResizePlan, offset: number, length: number): Generator<Copy> {
  const end = offset + length;
  for (let index = firstEndingAfter(plan.copies, offset); index < plan.copies.length; index += 1) {
    const copy = plan.copies[index];
    if (copy === undefined || copy.from >= end) return;
    const from = Math.max(copy.from, offset);
    const limit = Math.min(copy.from + copy.length, end);
    yield { from, to: copy.to + from - copy.from, length: limit - from };
  }
}

function firstEndingAfter(copies: readonly Copy[], offset: number): number {
  let low = 0;
  let high = copies.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const copy = copies[middle];
    if (copy && copy.from + copy.length <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
