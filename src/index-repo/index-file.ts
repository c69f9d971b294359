import { EntryFields } from './entry-fields.js';
import { type Section, type TextOrigin, indexError, readSections } from './index-lexer.js';
import type { SourceRef, TemplateEntry } from './template-entry.js';

const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const ARCH = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$/;
const REVISION = /^[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}$/;
const FORMAT = /^[a-z0-9]{1,16}$/;
const DEVICE = /^(?:\/dev\/)?[A-Za-z0-9][A-Za-z0-9+_-]{0,127}(?:\/[A-Za-z0-9+_][A-Za-z0-9+_.-]{0,127}){0,3}$/;
const ALIAS = /^[^\p{Cc}\s]{1,128}$/u;

/** Whether `name` can be the name of a template: it never needs escaping in a path. */
export function isTemplateName(name: string): boolean {
  return NAME.test(name);
}

/** Whether `arch` can be the architecture of a template: it never needs escaping in a path. */
export function isArchitecture(arch: string): boolean {
  return ARCH.test(arch);
}

/** Whether `revision` can be the revision of a template. */
export function isRevision(revision: string): boolean {
  return REVISION.test(revision);
}

/** What is being parsed: its origin for messages and relative paths, and the source its entries belong to. */
export interface IndexContext extends TextOrigin {
  readonly source: SourceRef;
}

/**
 * Reads the text of a native index (virt-builder's format, docs/index-format.md): its entries in order, every field
 * checked. `text` must be what the signature's verification returned, without the signature itself.
 *
 * @throws TSB_INDEX_SYNTAX for text that is no index, TSB_INDEX_INVALID for a value that cannot be right or is not safe;
 *   both name URL, line and column
 */
export function parseIndex(text: string, context: IndexContext): TemplateEntry[] {
  const seen = new Map<string, Section>();
  return readSections(text, context).map((section) => {
    const entry = readEntry(section, context);
    const id = `${entry.name} ${entry.arch}`;
    const first = seen.get(id);
    if (first) {
      const message = `[${entry.name}] for ${entry.arch} appears again; it is already in line ${first.at.line}`;
      throw indexError('TSB_INDEX_INVALID', context, { ...section.at, message });
    }
    seen.set(id, section);
    return entry;
  });
}

function readEntry(section: Section, context: IndexContext): TemplateEntry {
  if (!isTemplateName(section.name)) {
    const message = `[${section.name}] is not usable as a name: it must not begin with a dot or a dash, nor be longer than 128`;
    throw indexError('TSB_INDEX_INVALID', context, { ...section.at, message });
  }
  const fields = new EntryFields(section, context);
  return {
    name: section.name,
    fullName: fields.text('name'),
    osinfo: fields.text('osinfo'),
    arch: fields.required('arch', fields.matching('arch', ARCH, 'letters, digits, _ and -')),
    url: fields.required('file', fields.location('file')),
    sigUrl: fields.location('sig'),
    ...readChecksums(fields),
    revision: fields.matching('revision', REVISION, 'letters, digits, . _ + ~ and -') ?? '1',
    format: fields.matching('format', FORMAT, 'the name of a disk format'),
    size: fields.required('size', fields.integer('size', 1)),
    compressedSize: fields.integer('compressed_size', 0),
    expand: fields.matching('expand', DEVICE, 'a partition such as /dev/sda3'),
    lvexpand: fields.matching('lvexpand', DEVICE, 'a logical volume such as /dev/vg/root'),
    notes: Object.fromEntries(fields.all('notes').map(({ subkey, value }) => [subkey ?? '', value])),
    hidden: fields.flag('hidden'),
    aliases: readAliases(fields),
    blocks: fields.location('blocks'),
    blocksSha512: fields.checksum('blocks', 'sha512', 128),
    packing: fields.text('packing'),
    source: context.source,
  };
}

function readChecksums(fields: EntryFields): Pick<TemplateEntry, 'sha512' | 'sha256'> {
  const named = fields.checksum('checksum', 'sha512', 128);
  const bare = fields.checksum('checksum', undefined, 128);
  if (named !== undefined && bare !== undefined && named !== bare)
    throw fields.invalid('checksum', 'differs from checksum[sha512]');
  return { sha512: named ?? bare, sha256: fields.checksum('checksum', 'sha256', 64) };
}

function readAliases(fields: EntryFields): string[] {
  const aliases = (fields.text('aliases') ?? '').split(/[ \t\n]+/).filter((alias) => alias !== '');
  const wrong = aliases.find((alias) => !ALIAS.test(alias));
  if (wrong !== undefined)
    throw fields.invalid('aliases', 'an alias has a control character or is longer than 128');
  if (aliases.length > 1000) throw fields.invalid('aliases', 'more than 1000');
  return aliases;
}
