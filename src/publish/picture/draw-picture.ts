import { formatSize } from '../../io/format-size.js';
import { KIND_WORDS, STEP_WORDS, cellHint, percent, pictureSentence, ratioStep } from './cell-words.js';
import { escapeText } from './escape-text.js';
import { PICTURE_STYLE } from './picture-style.js';
import type { CellKind, DiskPicture, PictureCell, PicturePanel } from './plan-picture.js';

const COLUMNS = 64;
const CELL = 12;
const MARGIN = 20;
const WIDTH = COLUMNS * CELL + 2 * MARGIN;
const HEADING = 42;
const LONGEST_LINE = 120;
const LONGEST_DESCRIPTION = 4000;
/** Of the legend; the longest words fit. */
const LEGEND_COLUMNS = 3;
const LEGEND_ENTRY = (WIDTH - 2 * MARGIN) / LEGEND_COLUMNS;

/** How a picture is drawn. */
export interface DrawOptions {
  /** Begins the ids in the picture: another for each picture of a page. Letters, digits and dashes. */
  readonly id?: string | undefined;
}

/**
 * The picture as an SVG document that needs nothing else: title and description for those who do not see it, text beside every colour, hints
 * on hover. Equal pictures give equal text. Nothing of the disk is markup in it.
 */
export function drawPicture(picture: DiskPicture, { id = 'disk' }: DrawOptions = {}): string {
  const body: string[] = [];
  let y = MARGIN;
  y += draw(body, y, headOf(picture));
  y += draw(body, y, legendOf(picture, id));
  for (const panel of picture.panels) y += draw(body, y, panelOf(panel, id));
  const note = `One square is ${formatSize(picture.cellSize)}, or what is left of a region.`;
  body.push(text(MARGIN, y + 12, { words: note, size: 12, tone: 'soft' }));
  const height = Math.ceil(y + 12 + MARGIN);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="tsb-map" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="${id}-title ${id}-desc">`,
    `<title id="${id}-title">${escapeText(picture.name)}: allocation of the disk</title>`,
    `<desc id="${id}-desc">${escapeText(pictureSentence(picture), LONGEST_DESCRIPTION)}</desc>`,
    `<style>${PICTURE_STYLE}</style>`,
    `<defs>${patterns(id)}</defs>`,
    `<rect class="tsb-paper" width="${WIDTH}" height="${height}" rx="6"/>`,
    ...body,
    '</svg>',
    '',
  ].join('\n');
}

interface Drawing {
  readonly height: number;
  /** SVG elements for a drawing whose upper edge is at 0. */
  readonly elements: readonly string[];
}

function draw(body: string[], y: number, { height, elements }: Drawing): number {
  body.push(`<g transform="translate(0 ${y})">`, ...elements, '</g>');
  return height;
}

function text(
  x: number,
  y: number,
  { words, size, tone, bold }: { words: string; size: number; tone: 'ink' | 'soft'; bold?: true },
): string {
  const weight = bold ? ' font-weight="600"' : '';
  return `<text x="${x}" y="${y}" font-size="${size}"${weight} class="tsb-${tone}">${escapeText(words, LONGEST_LINE)}</text>`;
}

/** At most so many characters, the middle left out. */
function fitting(words: string, most: number): string {
  const characters = Array.from(words);
  if (characters.length <= most) return words;
  const half = Math.floor((most - 1) / 2);
  return `${characters.slice(0, half).join('')}\u2026${characters.slice(-half).join('')}`;
}

function headOf({ name, size, table, packed, totals }: DiskPicture): Drawing {
  const data = totals.used + totals.unknown + totals.junk;
  const facts = [
    formatSize(size),
    table === 'none' ? 'no partition table' : table.toUpperCase(),
    `${formatSize(data)} data`,
    ...(packed === undefined ? [] : [`packed in ${formatSize(packed)}`]),
  ];
  return {
    height: 60,
    elements: [
      text(MARGIN, 16, { words: fitting(name, 64), size: 18, tone: 'ink', bold: true }),
      text(MARGIN, 36, { words: facts.join(' \u00b7 '), size: 13, tone: 'soft' }),
    ],
  };
}

function legendOf(picture: DiskPicture, id: string): Drawing {
  const packed = picture.packed !== undefined;
  const kinds = (Object.keys(KIND_WORDS) as CellKind[]).filter(
    (kind) => picture.totals[kind] > 0 && !(packed && kind === 'used'),
  );
  const elements = kinds.map((kind, index) => {
    const [column, row] = [index % LEGEND_COLUMNS, Math.floor(index / LEGEND_COLUMNS)];
    const [x, y] = [MARGIN + column * LEGEND_ENTRY, row * 20];
    const words = `${KIND_WORDS[kind]}, ${formatSize(picture.totals[kind])}`;
    return square(x, y, { className: kind, hatch: hatchOf(kind, id) }) + label(x, y, words);
  });
  const y = Math.ceil(kinds.length / LEGEND_COLUMNS) * 20;
  if (!packed) return { height: y + 12, elements };
  return { height: y + 32, elements: [...elements, ...stepsOf(picture, y)] };
}

/** The shades of data in use, by how well it is packed. */
function stepsOf({ totals }: DiskPicture, y: number): string[] {
  const words = `${KIND_WORDS.used}, ${formatSize(totals.used)}, packed to`;
  const steps = STEP_WORDS.map((step, index) => {
    const x = MARGIN + 190 + index * 84;
    return square(x, y, { className: `r${index}` }) + label(x, y, step);
  });
  return [text(MARGIN, y + 11, { words, size: 12, tone: 'ink' }), ...steps];
}

function label(x: number, y: number, words: string): string {
  return text(x + 18, y + 11, { words, size: 12, tone: 'ink' });
}

function square(x: number, y: number, fill: { className: string; hatch?: string | undefined }): string {
  const box = `x="${x}" y="${y}" width="12" height="12"`;
  const over = fill.hatch === undefined ? '' : `<rect ${box} fill="url(#${fill.hatch})"/>`;
  return `<rect ${box} class="tsb-${fill.className}"/>${over}`;
}

function panelOf(panel: PicturePanel, id: string): Drawing {
  const rows = Math.ceil(panel.cells.length / COLUMNS);
  const columns = Math.min(COLUMNS, panel.cells.length);
  const grid = `<rect y="${HEADING}" x="${MARGIN}" width="${columns * CELL}" height="${rows * CELL}" fill="url(#${id}-grid)" class="tsb-over"/>`;
  return {
    height: HEADING + rows * CELL + 18,
    elements: [
      text(MARGIN, 16, { words: fitting(titleOf(panel), 80), size: 14, tone: 'ink', bold: true }),
      text(MARGIN, 33, { words: fitting(factsOf(panel), 110), size: 12, tone: 'soft' }),
      `<g transform="translate(${MARGIN} ${HEADING})">`,
      ...runsOf(panel.cells).map((run) => runElement(run, panel, id)),
      '</g>',
      grid,
    ],
  };
}

function titleOf({ name, content, label: own }: PicturePanel): string {
  const words = [name, ...(content === 'none' ? [] : [content]), ...(own ? [`\u201c${own}\u201d`] : [])];
  return words.join('  ');
}

function factsOf({ length, size, used, packed, left }: PicturePanel): string {
  const share = size === undefined || used === undefined ? undefined : used / Math.max(1, size);
  return [
    formatSize(length),
    ...(used === undefined || share === undefined ? [] : [`${formatSize(used)} used (${percent(share)})`]),
    ...(packed === undefined ? [] : [`${formatSize(packed)} packed`]),
    ...(left === undefined ? [] : [`left as it is: ${left}`]),
  ].join(' \u00b7 ');
}

interface Run {
  readonly first: number;
  readonly cells: PictureCell[];
}

/** Neighbours in one row that look the same and follow each other on the disk. */
function runsOf(cells: readonly PictureCell[]): Run[] {
  const runs: Run[] = [];
  for (const [index, cell] of cells.entries()) {
    const run = runs.at(-1);
    const last = run?.cells.at(-1);
    const follows = last !== undefined && last.offset + last.length === cell.offset;
    const alike = last?.kind === cell.kind && last.ratio === cell.ratio;
    if (run && follows && alike && index % COLUMNS !== 0) run.cells.push(cell);
    else runs.push({ first: index, cells: [cell] });
  }
  return runs;
}

function runElement({ first, cells }: Run, { name }: PicturePanel, id: string): string {
  const [cell] = cells;
  if (!cell) return '';
  const [x, y] = [(first % COLUMNS) * CELL, Math.floor(first / COLUMNS) * CELL];
  const box = `x="${x}" y="${y}" width="${cells.length * CELL}" height="${CELL}"`;
  const shade = cell.kind === 'used' && cell.ratio !== undefined ? `r${ratioStep(cell.ratio)}` : cell.kind;
  const hatch = hatchOf(cell.kind, id);
  const over = hatch === undefined ? '' : `<rect ${box} fill="url(#${hatch})" class="tsb-over"/>`;
  const hint = `${escapeText(name)}, ${escapeText(cellHint(cells))}`;
  return `<rect ${box} class="tsb-${shade}"><title>${hint}</title></rect>${over}`;
}

/** A second sign besides colour for what stands out. */
function hatchOf(kind: CellKind, id: string): string | undefined {
  return kind === 'junk' || kind === 'unknown' ? `${id}-${kind}` : undefined;
}

function patterns(id: string): string {
  const tile = (name: string, size: number, path: string): string =>
    `<pattern id="${id}-${name}" width="${size}" height="${size}" patternUnits="userSpaceOnUse">${path}</pattern>`;
  return [
    tile('grid', CELL, `<path class="tsb-grid" d="M0 0H${CELL}M0 0V${CELL}"/>`),
    tile('junk', 6, '<path class="tsb-hatch" d="M-1 7L7 -1"/>'),
    tile('unknown', 6, '<path class="tsb-hatch" d="M0 3H6"/>'),
  ].join('');
}
