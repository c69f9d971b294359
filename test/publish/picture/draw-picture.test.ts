import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DiskUsage } from '../../../src/publish/disk-usage.js';
import { drawPicture } from '../../../src/publish/picture/draw-picture.js';
import { escapeText } from '../../../src/publish/picture/escape-text.js';
import { picturePage } from '../../../src/publish/picture/picture-page.js';
import { planPicture } from '../../../src/publish/picture/plan-picture.js';
import { MIB } from '../../helpers/disk.js';

const HOSTILE = `"><script>alert(1)</script><img src=x onerror='x'>&amp;]]>\u0000\u202e`;

/** Eight MiB: the table, a filesystem of which a half is free and a quarter is free data, an encrypted partition, a gap. */
function usageOf({ label, xz }: { label: string; xz: boolean }): DiskUsage {
  const regions = [
    { name: 'table', offset: 0, length: MIB, content: 'table', freeRanges: [] },
    {
      ...{ name: 'p1', partition: 1, offset: MIB, length: 4 * MIB, content: 'ext4', label },
      ...{ size: 4 * MIB, used: 2 * MIB, free: 2 * MIB },
      freeRanges: [{ offset: 3 * MIB, length: 2 * MIB }],
    },
    {
      ...{ name: 'p2', partition: 2, offset: 5 * MIB, length: 2 * MIB, content: 'crypto_LUKS' },
      ...{ freeRanges: [], left: 'encrypted (LUKS)' },
    },
    {
      ...{ name: 'gap', offset: 7 * MIB, length: MIB, content: 'none' },
      freeRanges: [{ offset: 7 * MIB, length: MIB }],
    },
  ];
  const blocks = [0, 1, 2, 3].map((at) => ({
    offset: at * 2 * MIB,
    length: 2 * MIB,
    packed: (at + 1) * 1e5,
  }));
  return {
    size: 8 * MIB,
    table: 'gpt',
    survey: { size: 8 * MIB, table: 'gpt', sectorSize: 512, regions },
    regions: regions.map(({ freeRanges: _, offset: __, ...region }) => ({ ...region, data: 0, freeable: 0 })),
    data: [
      { offset: 0, length: 2 * MIB },
      { offset: 4 * MIB, length: 3 * MIB },
    ],
    free: [
      { offset: 3 * MIB, length: 2 * MIB },
      { offset: 7 * MIB, length: MIB },
    ],
    blocks: xz ? blocks : undefined,
  };
}

const planOf = (usage: DiskUsage, name = 'disk.img'): ReturnType<typeof planPicture> =>
  planPicture(usage, { name, cells: 8 });

/** An XML parser that is not ours: Python's. What it finds: each element's name and all attributes' names. */
function parseXml(text: string): { names: string[]; attributes: string[] } {
  const program = `import sys, json, xml.etree.ElementTree as e
t = list(e.fromstring(sys.stdin.buffer.read()).iter())
print(json.dumps({'names': sorted({x.tag.split('}')[1] for x in t}), 'attributes': sorted({a for x in t for a in x.attrib})}))`;
  const { status, stdout, stderr } = spawnSync('python3', ['-c', program], { input: text, encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout) as ReturnType<typeof parseXml>;
}

describe('planPicture', () => {
  it('tells what most of each cell is', () => {
    const { panels, totals, cellSize } = planOf(usageOf({ label: 'root', xz: false }));
    expect(cellSize).toBe(MIB);
    expect(panels.map(({ name, cells }) => [name, cells.map(({ kind }) => kind)])).toEqual([
      ['p1', ['used', 'zero', 'free', 'junk']],
      ['p2', ['unknown', 'unknown']],
      ['gap', ['free']],
      ['Outside of partitions', ['table']],
    ]);
    expect(totals).toEqual({
      ...{ used: MIB, junk: MIB, free: 2 * MIB, zero: MIB, table: MIB, unknown: 2 * MIB },
    });
  });

  it('knows ratios of xz blocks, and takes no part of a block for data that nothing uses', () => {
    const { panels, totals, packed } = planOf(usageOf({ label: 'root', xz: true }));
    expect(packed).toBe(1e6);
    expect(totals.junk).toBe(0);
    expect(panels[0]?.cells[0]?.ratio).toBeCloseTo(1e5 / (2 * MIB));
    expect(panels[0]?.cells[1]?.ratio).toBeUndefined();
  });

  it('covers every byte once, whatever the size of cells', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), (cells) => {
        const plan = planPicture(usageOf({ label: '', xz: false }), { name: 'x', cells });
        const all = plan.panels.flatMap((panel) => panel.cells).sort((a, b) => a.offset - b.offset);
        const end = all.reduce((at, { offset, length }) => (offset === at ? at + length : NaN), 0);
        expect(end).toBe(8 * MIB);
        expect(Object.values(plan.totals).reduce((sum, bytes) => sum + bytes)).toBe(8 * MIB);
      }),
    );
  });
});

describe('drawPicture', () => {
  it('draws a square for each cell, with words for those who do not see it', () => {
    const svg = drawPicture(planOf(usageOf({ label: 'root', xz: false })));
    expect(svg).toContain('<title id="disk-title">disk.img: allocation of the disk</title>');
    expect(svg).toContain('role="img" aria-labelledby="disk-title disk-desc"');
    expect(svg).toContain('<title>p1, 4 MiB to 5 MiB: not in use, takes room</title>');
    expect(svg).toContain('left as it is: encrypted (LUKS)');
    expect(svg).toContain('prefers-color-scheme:dark');
    expect(drawPicture(planOf(usageOf({ label: 'root', xz: false })))).toBe(svg);
    expect(parseXml(svg).names).toEqual([
      'defs',
      'desc',
      'g',
      'path',
      'pattern',
      'rect',
      'style',
      'svg',
      'text',
      'title',
    ]);
  });

  it('draws a small disk as it always did', async () => {
    const svg = drawPicture(planOf(usageOf({ label: 'root', xz: true })), { id: 'golden' });
    await expect(svg).toMatchFileSnapshot('golden/small.svg');
  });

  it('keeps hostile labels and names text', () => {
    const plain = parseXml(drawPicture(planOf(usageOf({ label: 'root', xz: true }))));
    const svg = drawPicture(planOf(usageOf({ label: HOSTILE, xz: true }), HOSTILE));
    expect(parseXml(svg)).toEqual(plain);
    const page = picturePage(planOf(usageOf({ label: HOSTILE, xz: true }), HOSTILE), [
      { name: HOSTILE, content: 'ext4', label: HOSTILE, length: 1, data: 0, freeable: 0, left: HOSTILE },
    ]);
    for (const text of [svg, page]) expect(text).not.toMatch(/<script|<img|onerror='|\u0000|\u202e/);
    expect(page).toContain('&lt;script&gt;');
    expect(page).toContain('<caption>Regions of the disk</caption>');
  });

  it('is well-formed whatever a label is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 90 }), (label) => {
        const escaped = escapeText(label);
        expect(escaped).not.toMatch(/[<>"'\p{Cs}\ufffe\uffff]|[^\P{Cc}]|&(?!(?:amp|lt|gt|quot|#39);)/u);
      }),
      { numRuns: 40 },
    );
    expect(escapeText('\ud800<')).toBe('\ufffd&lt;');
    expect(escapeText('x'.repeat(500))).toHaveLength(80);
  });
});
