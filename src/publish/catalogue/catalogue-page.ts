import type { TemplateEntry } from '../../index-repo/template-entry.js';
import { formatSize } from '../../io/format-size.js';
import { escapeText } from '../picture/escape-text.js';
import { type CataloguePlace, buildCommands, sourceCommands } from './catalogue-commands.js';
import { CATALOGUE_STYLE } from './catalogue-style.js';

/** A template of the page. */
export interface CatalogueTemplate extends Pick<
  TemplateEntry,
  | 'name'
  | 'fullName'
  | 'osinfo'
  | 'arch'
  | 'revision'
  | 'size'
  | 'compressedSize'
  | 'notes'
  | 'aliases'
  | 'expand'
  | 'lvexpand'
> {
  /** SVG of `drawPicture`, which has escaped what came from the disk. */
  readonly picture?: string | undefined;
}

/** What the page shows. */
export interface Catalogue extends CataloguePlace {
  /** False when `url` only stands for the address, which is not known yet. */
  readonly isUrlKnown: boolean;
  /** When the index was signed. */
  readonly signedAt: Date;
  readonly templates: readonly CatalogueTemplate[];
}

/** Tells that tsbuilder has written the page, and may write it again. */
export const PAGE_MARK = '<meta name="generator" content="tsbuilder">';

const LONGEST_LINE = 2000;
const MOST_LINES = 400;

/**
 * The catalogue of a repository as an HTML page that needs nothing else: no scripts, nothing is fetched, and its policy forbids both.
 * Equal catalogues give equal text. Nothing of the index is markup in it.
 */
export function cataloguePage(catalogue: Catalogue): string {
  const { name, templates } = catalogue;
  const title = `${escapeText(name)}: disk image templates`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
${PAGE_MARK}
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<title>${title}</title>
<style>
${CATALOGUE_STYLE}</style>
</head>
<body>
<header>
<h1>${escapeText(name)}</h1>
<p class="soft">${countOf(templates.length)}, signed ${catalogue.signedAt.toISOString().slice(0, 10)}</p>
${contentsOf(templates)}</header>
<main>
${trustOf(catalogue)}
${templates.map((_, at) => articleOf(catalogue, at)).join('\n')}
</main>
</body>
</html>
`;
}

function countOf(count: number): string {
  return count === 1 ? '1 template' : `${count} templates`;
}

function contentsOf(templates: readonly CatalogueTemplate[]): string {
  const items = templates.map(
    ({ name, arch }, at) =>
      `<li><a href="#t${at}">${escapeText(name)}</a> <small class="soft">${escapeText(arch)}</small></li>`,
  );
  return items.length < 2
    ? ''
    : `<nav aria-label="Templates"><ul class="index">${items.join('')}</ul></nav>\n`;
}

function trustOf(catalogue: Catalogue): string {
  const { tsbuilder, virtBuilder } = sourceCommands(catalogue);
  const note = catalogue.isUrlKnown
    ? ''
    : `<p class="soft">Put the address of this page\u2019s folder in place of <code>${escapeText(catalogue.url)}</code>.</p>\n`;
  return `<section>
<h2>Use this repository</h2>
<p>Its <a href="index.asc">index</a> is signed by the <a href="key.asc">key</a> with the fingerprint</p>
<pre class="command">${escapeText(catalogue.fingerprint)}</pre>
<p class="soft">Compare it with what its publisher told you in another way: who can change this page can change what it says.</p>
${note}<h3>tsbuilder</h3>
${command(tsbuilder)}
<h3>virt-builder</h3>
${command(virtBuilder)}
</section>`;
}

/** Longer than any line of a command that means something; what is shown is what is copied. */
const LONGEST_COMMAND = 8000;

function command(text: string): string {
  const lines = text.split('\n').map((line) => escapeText(line, LONGEST_COMMAND));
  return `<pre class="command">${lines.join('\n')}</pre>`;
}

function articleOf(catalogue: Catalogue, at: number): string {
  const template = catalogue.templates[at];
  if (!template) return '';
  const { name, arch, fullName } = template;
  const isOnly = catalogue.templates.filter((one) => one.name === name).length === 1;
  const commands = buildCommands(catalogue, { name, arch: isOnly ? undefined : arch });
  return `<article id="t${at}" aria-labelledby="t${at}-name">
<h2 id="t${at}-name">${escapeText(name, 128)} <small>${escapeText(fullName ?? '', 200)}</small></h2>
${factsOf(template)}
${notesOf(template)}<details>
<summary>Build it</summary>
<h3>tsbuilder</h3>
${command(commands.tsbuilder)}
<h3>virt-builder</h3>
${command(commands.virtBuilder)}
</details>
${pictureOf(template)}</article>`;
}

function factsOf(template: CatalogueTemplate): string {
  const { arch, revision, size, compressedSize, osinfo, aliases, expand, lvexpand } = template;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['Architecture', arch],
    ['Revision', revision],
    ['Disk', formatSize(size)],
    ['Download', compressedSize === undefined ? undefined : formatSize(compressedSize)],
    ['osinfo', osinfo],
    ['Grows', lvexpand ?? expand],
    ['Also called', aliases.length > 0 ? aliases.join(', ') : undefined],
  ];
  const items = facts.flatMap(([term, value]) =>
    value === undefined ? [] : `<div><dt>${term}</dt><dd>${escapeText(value, 500)}</dd></div>`,
  );
  return `<dl>${items.join('')}</dl>`;
}

/** The untranslated notes, then those of each language. */
function notesOf({ notes }: CatalogueTemplate): string {
  const texts = Object.entries(notes).filter(([, text]) => text.trim() !== '');
  const sections = texts.map(([language, text]) => {
    const lines = text.trim().split('\n').slice(0, MOST_LINES);
    const shown = lines.map((line) => escapeText(line.replaceAll('\t', '    '), LONGEST_LINE)).join('\n');
    const words = language === '' ? 'Notes' : `Notes (${escapeText(language)})`;
    return `<details${language === '' ? ' open' : ''}><summary>${words}</summary>\n<pre>${shown}</pre></details>\n`;
  });
  return sections.join('');
}

function pictureOf({ picture }: CatalogueTemplate): string {
  if (picture === undefined) return '';
  return `<details open>\n<summary>What is on the disk</summary>\n<div class="scroll">\n${picture}</div>\n</details>\n`;
}
