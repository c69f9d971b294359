import { formatSize } from '../src/io/format-size.js';
import type { Measurement } from './measure.js';

/** One comparison: ours first, then the peers. */
export interface Row {
  readonly title: string;
  readonly about: string;
  /** The machine, and what it runs. */
  readonly made: string;
  readonly results: readonly Measurement[];
}

/** The report as Markdown: medians, and how many times longer each peer took than tsbuilder. */
export function formatMarkdown(rows: readonly Row[]): string {
  const lines = [
    '# Benchmark results',
    '',
    `Made by \`npm run bench\` on ${[...new Set(rows.map(({ made }) => made))].join('; ')}. The contenders of a table run in turn, round after`,
    'round; figures are medians.',
    '**Ratio** is the time of that tool divided by the time of tsbuilder: above 1, tsbuilder is faster. **Result** is what the file that it makes',
    'takes on disk.',
    '',
    '![chart](results.svg)',
    '',
  ];
  for (const row of rows) lines.push(...formatRow(row), '');
  return lines.join('\n');
}

/** What only some comparisons tell of their contenders. */
const EXTRAS: readonly { readonly title: string; readonly cell: (of: Measurement) => string | undefined }[] =
  [
    {
      title: 'cold read',
      cell: ({ coldRead }) => (coldRead === undefined ? undefined : `${coldRead.toFixed(1)} ms`),
    },
    {
      title: 'result',
      cell: ({ resultSize }) =>
        resultSize === undefined ? undefined : `${(resultSize / 2 ** 20).toFixed(1)} MiB`,
    },
  ];

function formatRow({ title, about, results }: Row): string[] {
  const ours = results[0]?.seconds ?? NaN;
  const extras = EXTRAS.filter(({ cell }) => results.some((result) => cell(result) !== undefined));
  const table = [
    [
      'tool',
      'seconds',
      'CPU seconds',
      'peak memory',
      'rounds',
      'ratio',
      ...extras.map((extra) => extra.title),
    ],
    ['---', ...Array.from({ length: 5 + extras.length }, () => '---:')],
    ...results.map((result) => [
      result.name,
      result.seconds.toFixed(2),
      result.cpuSeconds.toFixed(2),
      formatSize(result.peakMemory),
      String(result.rounds),
      (result.seconds / ours).toFixed(2),
      ...extras.map(({ cell }) => cell(result) ?? '-'),
    ]),
  ];
  return [`## ${title}`, '', about, '', ...table.map((cells) => `| ${cells.join(' | ')} |`)];
}

const BAR = { left: 230, width: 420, height: 18, gap: 6 };

/** The same rows as an SVG bar chart, one group a row, bars in proportion to the group's slowest. */
export function formatSvg(rows: readonly Row[]): string {
  let y = 10;
  const shapes: string[] = [];
  for (const { title, results } of rows) {
    shapes.push(`<text x="10" y="${y + 14}" font-weight="bold">${escapeXml(title)}</text>`);
    y += 24;
    const longest = Math.max(...results.map(({ seconds }) => seconds));
    for (const [index, { name, seconds }] of results.entries()) {
      const width = Math.max(2, Math.round((BAR.width * seconds) / longest));
      const fill = index === 0 ? '#2563eb' : '#9ca3af';
      shapes.push(
        `<text x="${BAR.left - 8}" y="${y + 13}" text-anchor="end">${escapeXml(name)}</text>`,
        `<rect x="${BAR.left}" y="${y}" width="${width}" height="${BAR.height}" fill="${fill}" rx="2"/>`,
        `<text x="${BAR.left + width + 6}" y="${y + 13}">${seconds.toFixed(2)} s</text>`,
      );
      y += BAR.height + BAR.gap;
    }
    y += 12;
  }
  const size = `width="760" height="${y}" viewBox="0 0 760 ${y}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="sans-serif" font-size="12">
<rect width="760" height="${y}" fill="white"/>
${shapes.join('\n')}
</svg>
`;
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}
