import type { ByteSource } from '../io/byte-source.js';
import { TsbuilderError } from '../errors.js';
import { type Range, endOf } from '../probe/range.js';
import { OFFSET_MASK, overlayState } from './qcow2-format.js';
import { readQcow2Info } from './qcow2-info.js';

/** What happened to a disk in an overlay over it. Both lists ascend, their ranges are apart, in whole clusters. */
export interface OverlayChanges {
  /** What was discarded, or written with zeros as such. */
  readonly zeroed: readonly Range[];
  readonly written: readonly Range[];
}

/**
 * Reads what the tables of a qcow2 image without subclusters say was changed against the image below it, which is not opened.
 *
 * @throws TSB_IMAGE_INVALID
 */
export async function readOverlayChanges(source: ByteSource, signal?: AbortSignal): Promise<OverlayChanges> {
  const { clusterSize, l1Offset, l1Entries, virtualSize, extendedL2 } = await readQcow2Info(source, signal);
  if (extendedL2) throw new TsbuilderError('TSB_IMAGE_INVALID', `${source.name}: uses subclusters`);
  const l1 = Buffer.from(await source.read(l1Offset, l1Entries * 8, signal));
  const perTable = clusterSize / 8;
  const changes = { zeroed: [] as Range[], written: [] as Range[] };
  for (let index = 0; index < l1Entries; index += 1) {
    const table = Number(l1.readBigUInt64BE(index * 8) & OFFSET_MASK);
    if (table === 0) continue;
    const l2 = Buffer.from(await source.read(table, clusterSize, signal));
    for (let entry = 0; entry < perTable; entry += 1) {
      const state = overlayState(l2.readBigUInt64BE(entry * 8));
      const offset = (index * perTable + entry) * clusterSize;
      if (state === 'below' || offset >= virtualSize) continue;
      const length = Math.min(clusterSize, virtualSize - offset);
      append(state === 'zero' ? changes.zeroed : changes.written, { offset, length });
    }
  }
  return changes;
}

function append(ranges: Range[], range: Range): void {
  const last = ranges.at(-1);
  if (last && endOf(last) === range.offset)
    ranges[ranges.length - 1] = { offset: last.offset, length: last.length + range.length };
  else ranges.push(range);
}
