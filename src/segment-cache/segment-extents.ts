import type { DiskExtent } from '../io/disk-source.js';
import type { Segment, SegmentedContent } from '../io/segments.js';
import { PAGE } from './pages.js';
import type { PageStore } from './page-store.js';

/** Most extents in one answer, and most segments and pages looked at for it. */
const MAX_EXTENTS = 4096;
const MAX_STEPS = 256 * 1024;

/** What extents are found from. */
export interface ExtentsKnowledge {
  readonly content: SegmentedContent;
  readonly pages: PageStore;
  /** Whether a segment is known, or cheaply found, to be zero throughout. */
  readonly isZero: (segment: Segment) => Promise<boolean>;
}

/**
 * What is known of `offset..end`: segments that are zero throughout are `hole`, pages that were decoded and found zero are `zero`, all
 * else is `data`. Nothing is decoded. The answer may stop before `end`; it is empty only if the range is.
 */
export async function listExtents(
  knowledge: ExtentsKnowledge,
  offset: number,
  end: number,
): Promise<DiskExtent[]> {
  const { content, pages, isZero } = knowledge;
  const extents: DiskExtent[] = [];
  let steps = 0;
  for (let at = offset; at < end;) {
    const segment = content.segment(content.find(at));
    const stop = Math.min(end, segment.offset + segment.size);
    const next: Iterable<DiskExtent> = (await isZero(segment))
      ? [{ offset: at, length: stop - at, kind: 'hole' }]
      : pageExtents(pages, segment, { from: at, to: stop });
    for (const extent of next) {
      steps += 1;
      append(extents, extent);
      if (extents.length > MAX_EXTENTS) return extents.slice(0, MAX_EXTENTS);
      if (steps > MAX_STEPS) return extents;
    }
    at = stop;
  }
  return extents;
}

/** Extents of a range of the content inside one segment, page by page where the segment has zero pages. */
function* pageExtents(
  pages: PageStore,
  { number, offset }: Segment,
  { from, to }: { from: number; to: number },
): Iterable<DiskExtent> {
  const step = pages.hasZeroPages(number) ? PAGE : Infinity;
  for (let at = from; at < to;) {
    const page = Math.floor((at - offset) / PAGE);
    const end = Math.min(to, step === PAGE ? offset + (page + 1) * PAGE : to);
    yield { offset: at, length: end - at, kind: pages.isZeroPage(number, page) ? 'zero' : 'data' };
    at = end;
  }
}

function append(extents: DiskExtent[], extent: DiskExtent): void {
  const last = extents.at(-1);
  if (last?.kind === extent.kind)
    extents[extents.length - 1] = { ...last, length: last.length + extent.length };
  else extents.push(extent);
}
