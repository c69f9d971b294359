import { formatSize } from '../../io/format-size.js';
import type { CellKind, DiskPicture, PictureCell } from './plan-picture.js';

/** What each kind of cell is called in legends and hints, in the order of legends. */
export const KIND_WORDS: Readonly<Record<CellKind, string>> = {
  used: 'in use',
  unknown: 'data, left as it is',
  junk: 'not in use, takes room',
  free: 'free',
  zero: 'zeros',
  table: 'partition table',
};

/** Upper ends of the steps in which compression is shown. */
const STEPS = [0.1, 0.2, 0.3, 0.45, 0.6] as const;

/** The step, from 0 (packs best) to 5, of data that takes `ratio` of its size. */
export function ratioStep(ratio: number): number {
  const step = STEPS.findIndex((end) => ratio < end);
  return step < 0 ? STEPS.length : step;
}

/** The steps in words, for the legend. */
export const STEP_WORDS: readonly string[] = [...STEPS.map((end) => `< ${end * 100} %`), 'more'];

/** What a run of alike cells is, for a hint: where, how much, what. */
export function cellHint(cells: readonly PictureCell[]): string {
  const [first] = cells;
  const last = cells.at(-1);
  if (!first || !last) return '';
  const end = last.offset + last.length;
  const ratio = first.ratio === undefined || !isData(first.kind) ? '' : `, packed to ${percent(first.ratio)}`;
  return `${formatSize(first.offset)} to ${formatSize(end)}: ${KIND_WORDS[first.kind]}${ratio}`;
}

/** Whether cells of this kind are data, which takes room. */
function isData(kind: CellKind): boolean {
  return kind === 'used' || kind === 'unknown' || kind === 'junk';
}

/** `0.123` as `12 %`. */
export function percent(ratio: number): string {
  return `${Math.round(ratio * 100)} %`;
}

/** The picture in one sentence, for those who do not see it. */
export function pictureSentence({ name, size, totals, panels, packed }: DiskPicture): string {
  const parts = (Object.keys(KIND_WORDS) as CellKind[])
    .filter((kind) => totals[kind] > 0)
    .map((kind) => `${KIND_WORDS[kind]} ${formatSize(totals[kind])}`);
  const inFile = packed === undefined ? '' : `, packed in ${formatSize(packed)}`;
  const places = panels.map((panel) => `${panel.name} (${panel.content}, ${formatSize(panel.length)})`);
  return `${name}: ${formatSize(size)}${inFile}. ${parts.join(', ')}. Regions: ${places.join(', ')}.`;
}
