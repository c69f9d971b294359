import { formatSize } from '../../io/format-size.js';
import type { RegionUsage } from '../disk-usage.js';
import { drawPicture } from './draw-picture.js';
import { escapeText } from './escape-text.js';
import { PAGE_COLOURS } from './picture-style.js';
import type { DiskPicture } from './plan-picture.js';

const { light, dark } = PAGE_COLOURS;

const STYLE = `:root{color-scheme:light dark}
body{margin:0 auto;padding:1rem;max-width:56rem;font:15px/1.5 system-ui,sans-serif;background:${light.paper};color:${light.ink}}
svg{max-width:100%;height:auto}
.scroll{overflow-x:auto;padding:0 10px}
table{border-collapse:collapse;width:100%}
caption{text-align:left;font-weight:600;padding:.5rem .6rem}
th,td{padding:.3rem .6rem;text-align:left;border-bottom:1px solid ${light.soft};vertical-align:top}
.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
@media (prefers-color-scheme:dark){body{background:${dark.paper};color:${dark.ink}}th,td{border-color:${dark.soft}}}`;

/** The picture as an HTML page that needs nothing else, with the numbers as a table. No scripts; nothing of the disk is markup in it. */
export function picturePage(picture: DiskPicture, regions: readonly RegionUsage[]): string {
  const packed = picture.packed !== undefined;
  const title = `${escapeText(picture.name)}: allocation of the disk`;
  const heads = ['Size', 'Used', 'Free', 'Data', 'Freeable', ...(packed ? ['Packed'] : [])];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${title}</title>
<style>
${STYLE}
</style>
</head>
<body>
<main>
<h1 hidden>${title}</h1>
${drawPicture(picture)}<div class="scroll">
<table>
<caption>Regions of the disk</caption>
<thead><tr><th scope="col">Region</th><th scope="col">Content</th><th scope="col">Label</th>${heads.map((head) => `<th scope="col" class="n">${head}</th>`).join('')}<th scope="col">Left as it is</th></tr></thead>
<tbody>
${regions.map((region) => rowOf(region, packed)).join('\n')}
</tbody>
</table>
</div>
</main>
</body>
</html>
`;
}

function rowOf(region: RegionUsage, packed: boolean): string {
  const { name, content, label, length, size, used, free, data, freeable, left } = region;
  const numbers = [size ?? length, used, free, data, freeable, ...(packed ? [region.packed] : [])];
  const cells = numbers.map(
    (bytes) => `<td class="n">${bytes === undefined ? '\u2013' : formatSize(bytes)}</td>`,
  );
  const words = (text: string): string => `<td>${escapeText(text)}</td>`;
  const row = [words(content === 'none' ? '' : content), words(label ?? ''), ...cells, words(left ?? '')];
  return `<tr><th scope="row">${escapeText(name)}</th>${row.join('')}</tr>`;
}
