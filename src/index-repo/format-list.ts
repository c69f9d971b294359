import { formatSize } from '../io/format-size.js';
import { redactUrl } from '../io/redact-url.js';
import { chooseNotes } from './choose-notes.js';
import { printable, printableLines } from '../io/printable.js';
import type { SourceRef, TemplateEntry } from './template-entry.js';

/** What lists are made from besides the entries. */
export interface ListOptions {
  /** The sources the entries come from, in order. */
  readonly sources: readonly SourceRef[];
  /** Whether the template's file is in the cache. */
  readonly isCached?: ((entry: TemplateEntry) => boolean) | undefined;
  /** For the language of notes. Default: the environment of the process. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

/** One line for each template that is not hidden: name, architecture, full name. */
export function formatListShort(entries: readonly TemplateEntry[]): string {
  const lines = visible(entries).map(({ name, arch, fullName = '' }) =>
    `${name.padEnd(24)} ${arch.padEnd(10)} ${printable(fullName)}`.trimEnd(),
  );
  return lines.map((line) => `${line}\n`).join('');
}

/** Source by source, then everything about each template that is not hidden, in paragraphs. */
export function formatListLong(entries: readonly TemplateEntry[], options: ListOptions): string {
  const sources = options.sources.map((source) =>
    [['Source URI:', printableUrl(source.uri)] as const, trustOf(source)].map(formatLabel).join(''),
  );
  return [...sources, ...visible(entries).map((entry) => formatEntry(entry, options))].join('\n');
}

/** The notes of a template in the user's language, ended by a newline; empty when there are none. */
export function formatNotes(entry: TemplateEntry, env?: ListOptions['env']): string {
  const notes = chooseNotes(entry.notes, env);
  return notes === undefined ? '' : `${printableLines(notes).join('\n')}\n`;
}

function formatEntry(entry: TemplateEntry, options: ListOptions): string {
  const { fullName, arch, size, compressedSize, aliases, revision, source } = entry;
  const labels: [string, string | undefined][] = [
    ['os-version:', entry.name],
    ['Full name:', fullName],
    ['Architecture:', arch],
    ['Minimum/default size:', formatSize(size)],
    ['Download size:', compressedSize === undefined ? undefined : formatSize(compressedSize)],
    ['Aliases:', aliases.length > 0 ? aliases.join(' ') : undefined],
    ['Revision:', revision],
    ['Source:', source.name],
    ['Cached:', options.isCached === undefined ? undefined : yesNo(options.isCached(entry))],
  ];
  const notes = formatNotes(entry, options.env);
  return labels.map(formatLabel).join('') + (notes === '' ? '' : `Notes:\n\n${notes}`);
}

function formatLabel([label, value]: readonly [string, string | undefined]): string {
  return value === undefined ? '' : `${label.padEnd(24)} ${printable(value)}\n`;
}

function trustOf(source: SourceRef): [string, string] {
  if (source.fingerprint !== undefined) return ['Fingerprint:', source.fingerprint.toUpperCase()];
  return source.keyFile !== undefined ? ['Key:', source.keyFile] : ['Signature:', 'not checked'];
}

const yesNo = (value: boolean): string => (value ? 'yes' : 'no');
const printableUrl = (uri: string): string => printable(redactUrl(uri));
const visible = (entries: readonly TemplateEntry[]): TemplateEntry[] =>
  entries.filter(({ hidden }) => !hidden);
