import type { DiskExtent, DiskSource } from '../io/disk-source.js';

/** How often a disk is asked about one range. It may know each time of a small part only, and the range can be 4 GiB long. */
const MAX_QUESTIONS = 256;

interface ExtentQuery {
  readonly offset: number;
  readonly length: number;
  /** Stop when this many extents are complete. */
  readonly limit: number;
  /** Whether neighbours `a` and `b` count as one extent. */
  readonly same: (a: DiskExtent, b: DiskExtent) => boolean;
  readonly signal: AbortSignal;
}

/**
 * What `disk` knows of a range: at least one extent, the first at `offset`, in order, without gaps, equal neighbours made one. It may
 * end before the range does.
 *
 * @throws what `disk.extents` throws, RangeError when its answer is not about the range
 */
export async function knownExtents(disk: DiskSource, query: ExtentQuery): Promise<DiskExtent[]> {
  const found: DiskExtent[] = [];
  const end = query.offset + query.length;
  let at = query.offset;
  for (let questions = 0; at < end && questions < MAX_QUESTIONS; questions++) {
    for (const extent of await disk.extents(at, end - at, query.signal)) {
      assertNext(disk, extent, { at, end });
      at += extent.length;
      const last = found.at(-1);
      if (last && query.same(last, extent)) found[found.length - 1] = { ...last, length: at - last.offset };
      else if (found.length === query.limit) return found;
      else found.push(extent);
    }
  }
  return found;
}

function assertNext(disk: DiskSource, extent: DiskExtent, range: { at: number; end: number }): void {
  if (extent.offset !== range.at || extent.length <= 0 || extent.offset + extent.length > range.end) {
    throw new RangeError(
      `${disk.name}: extent of ${extent.length} bytes at ${extent.offset} in answer for ${range.at} to ${range.end}`,
    );
  }
}
