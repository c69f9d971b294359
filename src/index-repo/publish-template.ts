import { createHash } from 'node:crypto';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { openFileSource } from '../io/file-source.js';
import { hashSource, startHash } from '../io/hash-content.js';
import { type BlockMap, formatBlockMap } from '../xz/block-map.js';
import { makeBlockMap } from '../xz/make-block-map.js';
import { readXzIndex } from '../xz/xz-index.js';
import { type Publisher, changeRepository, checkedText } from './publish-change.js';
import {
  type IndexSection,
  type PublishedFields,
  type TemplateFields,
  formatEntry,
  sectionsOf,
  toSection,
} from './publish-entry.js';
import { moveDurably, writeDurably } from './publish-file.js';
import { beginJournal, listTemplateFiles } from './publish-strays.js';

/** A template to publish. The file is moved into the repository. */
export interface NewTemplate extends TemplateFields {
  readonly xzPath: string;
  /** SHA-512 that the file must have, in lower-case hex, where it is known. */
  readonly sha512?: string | undefined;
}

/** What publishing did. */
export interface PublishResult {
  readonly path: string;
  readonly sha512: string;
  readonly compressedSize: number;
  readonly revision: number;
  /** False when the same content had been published before: nothing but the description can have changed. */
  readonly changed: boolean;
}

/**
 * Adds a template, or replaces the one of the same name and architecture; its revision grows when its content changed.
 *
 * The compressed file and its block map are in place, under names that no earlier index used, and were read again, before the index that
 * names them appears.
 *
 * @throws TSB_XZ_CORRUPT when the file is not a whole xz file, TSB_CHECKSUM_MISMATCH when it is not what it should be,
 *   TSB_SIGNATURE_* when the present index was not signed by this repository's key, TSB_INDEX_INVALID when a field cannot be written
 */
export async function publishTemplate(
  publisher: Publisher,
  template: NewTemplate,
  signal?: AbortSignal,
): Promise<PublishResult> {
  const { dir } = publisher;
  return changeRepository(
    publisher,
    async (sections) => {
      const map = await mapOf(template, signal);
      const previous = previousOf(template, sections);
      const entry = toEntry(template, {
        map,
        previous,
        revision: await nextRevision(dir, template, previous),
      });
      const section = toSection(formatEntry(entry));
      const next = withSection(sections, previous, section);
      checkedText(next);
      await putInPlace(dir, template.xzPath, { entry, map }, signal);
      const { sha512, compressedSize, revision, file } = entry;
      const changed = previous?.sha512 !== sha512;
      const result = { path: join(dir, file), sha512, compressedSize, revision, changed };
      return { change: { sections: next }, result };
    },
    signal,
  );
}

/** Refuses, before any work, fields that the index cannot hold. @throws TSB_INDEX_INVALID */
export function assertPublishable(template: TemplateFields, sections: readonly IndexSection[]): void {
  const map: BlockMap = { size: 1, sha512: '0'.repeat(128), ranges: [] };
  const previous = previousOf(template, sections);
  const section = toSection(formatEntry(toEntry(template, { map, previous, revision: 1 })));
  checkedText(withSection(sections, previous, section));
}

/** The entry that a template of this name and architecture would replace. */
export function previousOf(
  template: TemplateFields,
  sections: readonly IndexSection[],
): IndexSection | undefined {
  return sectionsOf(sections, template)[0];
}

function withSection(
  sections: readonly IndexSection[],
  previous: IndexSection | undefined,
  section: IndexSection,
): IndexSection[] {
  const other = sections.find(({ file }) => file !== undefined && file === section.file);
  if (other && other !== previous) {
    const message = `template ${section.name}: its file ${section.file ?? ''} is that of ${other.name} (${other.arch ?? ''}) already`;
    throw new TsbuilderError('TSB_INDEX_INVALID', message, { hint: 'Choose another name.' });
  }
  if (!previous) return [...sections, section];
  return sections.map((present) => (present === previous ? section : present));
}

async function mapOf(template: NewTemplate, signal: AbortSignal | undefined): Promise<BlockMap> {
  await using source = await openFileSource(template.xzPath);
  const map = await makeBlockMap(source, await readXzIndex(source, { signal }), signal);
  if (template.sha512 !== undefined) assertHash(template.xzPath, map.sha512, template.sha512);
  return map;
}

/** One more than any revision that the index or a file has: a name is never used for other content. */
async function nextRevision(
  dir: string,
  { name, arch }: TemplateFields,
  previous: IndexSection | undefined,
): Promise<number> {
  const files = (await listTemplateFiles(dir)).filter(({ stem }) => stem === `${name}-${arch}`);
  return Math.max(previous?.revision ?? 0, ...files.map(({ revision }) => revision)) + 1;
}

function toEntry(
  template: TemplateFields & { readonly xzPath?: string },
  found: { map: BlockMap; previous: IndexSection | undefined; revision: number },
): PublishedFields {
  const { xzPath: _, ...fields } = template;
  const { map, previous } = found;
  const { sha512, size: compressedSize } = map;
  const same = previous?.sha512 === sha512 ? previous : undefined;
  const revision = same?.revision ?? found.revision;
  const file = same?.file ?? `${template.name}-${template.arch}.r${revision}.xz`;
  const blocksSha512 = createHash('sha512').update(formatBlockMap(map)).digest('hex');
  const published = { file, sha512, revision, compressedSize, blocks: `${file}.blocks`, blocksSha512 };
  return { ...fields, ...published };
}

async function putInPlace(
  dir: string,
  xzPath: string,
  { entry, map }: { entry: PublishedFields; map: BlockMap },
  signal: AbortSignal | undefined,
): Promise<void> {
  const path = join(dir, entry.file);
  await beginJournal(dir, [entry.file, entry.blocks]);
  await moveDurably(xzPath, path);
  await chmod(path, 0o644);
  await writeDurably(join(dir, entry.blocks), formatBlockMap(map), 0o644);
  assertHash(path, await hashOf(path, signal), entry.sha512);
  assertHash(entry.blocks, await hashOf(join(dir, entry.blocks), signal), entry.blocksSha512);
}

async function hashOf(path: string, signal: AbortSignal | undefined): Promise<string> {
  await using source = await openFileSource(path);
  const hasher = startHash();
  await hashSource(source, hasher, signal);
  return hasher.digest().sha512;
}

function assertHash(path: string, found: string, expected: string): void {
  if (found === expected) return;
  throw new TsbuilderError(
    'TSB_CHECKSUM_MISMATCH',
    `${path}: has the SHA-512 ${found}, but ${expected} was written`,
    { hint: 'Check the memory and the disk of this machine.' },
  );
}
