import { TsbuilderError } from '../errors.js';
import { normaliseArchitecture } from './architecture.js';
import { isArchitecture, isTemplateName } from './index-file.js';

/** What an index says about a template, apart from what publishing finds out by itself (checksum, lengths, revision). */
export interface TemplateFields {
  /** What users type: letters, digits, `.`, `_` and `-`. */
  readonly name: string;
  readonly fullName?: string | undefined;
  readonly osinfo?: string | undefined;
  /** As in `uname -m`: x86_64, aarch64. */
  readonly arch: string;
  readonly format: 'raw' | 'qcow2';
  /** Virtual size of the disk in bytes. */
  readonly size: number;
  readonly expand?: string | undefined;
  readonly lvexpand?: string | undefined;
  /** Notes by language; '' is the untranslated text. Lines are separated by newlines. Empty notes are none. */
  readonly notes?: Readonly<Record<string, string>> | undefined;
  readonly aliases?: readonly string[] | undefined;
  readonly hidden?: boolean | undefined;
  /** How the file was packed, in the words of `packingName`. */
  readonly packing?: string | undefined;
}

/** An entry ready to be written. */
export interface PublishedFields extends TemplateFields {
  /** Name of the compressed file, beside the index. */
  readonly file: string;
  /** Lower-case hex. */
  readonly sha512: string;
  readonly revision: number;
  /** Length of the compressed file in bytes. */
  readonly compressedSize: number;
  /** Name of the block map, beside the index, and its SHA-512 in lower-case hex. */
  readonly blocks: string;
  readonly blocksSha512: string;
}

/** One section of an index as it is written there, with the fields that publishing looks at. */
export interface IndexSection {
  readonly name: string;
  readonly arch: string | undefined;
  readonly file: string | undefined;
  readonly sha512: string | undefined;
  readonly blocks: string | undefined;
  readonly revision: number;
  readonly aliases: readonly string[];
  /** All its lines, the header first, without blank lines at the end. */
  readonly text: string;
}

/**
 * The section of an index for `entry`, in the order of fields that virt-builder's own writer uses, without the blank
 * line that separates sections.
 *
 * @throws TSB_INDEX_INVALID when a field cannot be written in the index grammar
 */
export function formatEntry(entry: PublishedFields): string {
  checkFields(entry);
  const lines = [
    `[${entry.name}]`,
    field('name', entry.fullName),
    field('osinfo', entry.osinfo),
    field('file', entry.file),
    field('arch', entry.arch),
    field('checksum[sha512]', entry.sha512),
    field('revision', entry.revision),
    field('format', entry.format),
    field('size', entry.size),
    field('compressed_size', entry.compressedSize),
    field('blocks', entry.blocks),
    field('blocks[sha512]', entry.blocksSha512),
    field('packing', entry.packing),
    field('expand', entry.expand),
    field('lvexpand', entry.lvexpand),
    ...Object.entries(entry.notes ?? {})
      .filter(([, text]) => text.trim() !== '')
      .map(formatNotes),
    field('aliases', entry.aliases?.length ? entry.aliases.join(' ') : undefined),
    field('hidden', entry.hidden ? 'true' : undefined),
  ];
  return lines.filter((line) => line !== undefined).join('\n');
}

/** The text of an index: sections with a blank line between them and one newline at the end, which old readers need. */
export function formatIndex(sections: readonly IndexSection[]): string {
  return `${sections.map((section) => section.text).join('\n\n')}\n`;
}

/** Cuts the text of an index that we wrote into its sections; every line of a section is kept as it is. */
export function splitIndex(text: string): IndexSection[] {
  return text
    .split(/^(?=\[)/m)
    .filter((part) => part.startsWith('['))
    .map((part) => toSection(part.trimEnd()));
}

/** The sections called `name`, of the architecture `arch` if that is named: those that spell it so, else those that spell it otherwise. */
export function sectionsOf(
  sections: readonly IndexSection[],
  { name, arch }: { readonly name: string; readonly arch?: string | undefined },
): IndexSection[] {
  const named = sections.filter((section) => section.name === name);
  if (arch === undefined) return named;
  const exact = named.filter((section) => section.arch === arch);
  const wanted = normaliseArchitecture(arch);
  return exact.length > 0 ? exact : named.filter((one) => normaliseArchitecture(one.arch ?? '') === wanted);
}

/** `section text` with the fields that publishing looks at read out of it. */
export function toSection(text: string): IndexSection {
  const value = (key: string): string | undefined =>
    text
      .split('\n')
      .find((line) => line.startsWith(`${key}=`))
      ?.slice(key.length + 1);
  return {
    name: /^\[([^\]]*)\]/.exec(text)?.[1] ?? '',
    arch: value('arch'),
    file: value('file'),
    sha512: value('checksum[sha512]'),
    blocks: value('blocks'),
    revision: Number(value('revision') ?? 1),
    aliases: (value('aliases') ?? '').split(/[ \t]+/).filter((alias) => alias !== ''),
    text,
  };
}

function field(key: string, value: string | number | undefined): string | undefined {
  return value === undefined ? undefined : `${key}=${value}`;
}

/**
 * Every line after the first begins with one blank: the grammar's continuation. Empty lines are left out: clearsigning
 * takes blanks off the end of a line, and what would remain, an empty line, ends the section for old readers.
 */
function formatNotes([language, text]: [string, string]): string {
  const key = language === '' ? 'notes' : `notes[${language}]`;
  const lines = text.split('\n').map((line) => line.trimEnd());
  return `${key}=${lines.filter((line) => line !== '').join('\n ')}`;
}

function checkFields(entry: PublishedFields): void {
  const { name, arch, size } = entry;
  check(
    isTemplateName(name),
    ['name', name],
    'A name has letters, digits, . _ and -, at most 128, and begins with a letter, digit or _.',
  );
  check(isArchitecture(arch), ['arch', arch], 'An architecture has letters, digits, _ and -, at most 64.');
  check(Number.isSafeInteger(size) && size > 0, ['size', String(size)], 'A disk has at least one byte.');
  for (const alias of entry.aliases ?? [])
    check(
      /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(alias),
      ['aliases', alias],
      'An alias has letters, digits, . _ and -.',
    );
  for (const [language, text] of Object.entries(entry.notes ?? {})) {
    check(/^[A-Za-z0-9_,.]*$/.test(language), ['notes', language]);
    check(!hasControls(text.replaceAll('\n', '')), ['notes', text]);
  }
  for (const key of ['fullName', 'osinfo', 'packing', 'expand', 'lvexpand'] as const)
    check(!hasControls(entry[key] ?? ''), [key, entry[key] ?? '']);
}

function hasControls(text: string): boolean {
  return /[\p{Cc}\u2028\u2029]/u.test(text);
}

function check(ok: boolean, [key, value]: readonly [key: string, value: string], hint?: string): void {
  if (ok) return;
  throw new TsbuilderError(
    'TSB_INDEX_INVALID',
    `template entry: ${key} ${JSON.stringify(value)} cannot be written into an index`,
    { hint, details: { field: key } },
  );
}
