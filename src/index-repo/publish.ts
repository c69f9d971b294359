import { createHash } from 'node:crypto';
import { chmod, readFile, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TsbuilderError, errnoOf } from '../errors.js';
import { openFileSource } from '../io/file-source.js';
import { withLock } from '../io/lock-file.js';
import { type BlockMap, formatBlockMap } from '../xz/block-map.js';
import { makeBlockMap } from '../xz/make-block-map.js';
import { readXzIndex } from '../xz/xz-index.js';
import {
  type IndexSection,
  type PublishedFields,
  type TemplateFields,
  formatEntry,
  formatIndex,
  splitIndex,
  toSection,
} from './publish-entry.js';
import { ensureFolder, moveDurably, writeDurably } from './publish-file.js';
import {
  type SigningKey,
  clearsign,
  generateSigningKey,
  readSigningKey,
  verifyClearsigned,
} from './publish-key.js';

/** A folder with a clearsigned index (`index.asc`), its public key (`key.asc`) and the files that the index names. */
export interface Repository {
  readonly dir: string;
  readonly indexPath: string;
  readonly publicKeyPath: string;
  readonly secretKeyPath: string;
  /** Of the signing key, upper-case hex. */
  readonly fingerprint: string;
}

/** A template to publish. The file is moved into the repository. */
export interface NewTemplate extends TemplateFields {
  readonly xzPath: string;
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

/** Where a repository and its secret key are. */
export interface RepositoryPlace {
  readonly dir: string;
  readonly secretKeyPath: string;
}

/**
 * Makes the folder, and the key that signs its index, if they are missing.
 *
 * @throws TSB_KEY_INVALID when the key file cannot be used, or is gone although the folder has a signed index
 */
export async function ensureRepository(place: RepositoryPlace, signal?: AbortSignal): Promise<Repository> {
  await ensureFolder(place.dir, 0o755);
  await ensureFolder(dirname(place.secretKeyPath), 0o700);
  return withLock(lockPath(place), { signal }, async () => describe(place, await ensureKey(place)));
}

/**
 * Adds a template, or replaces the one of the same name and architecture; its revision grows when its content changed.
 *
 * The compressed file and its block map are in place, under names that no earlier index used, before the index that names
 * them appears; what they replace goes only afterwards. A crash at any point leaves the old repository or the new one.
 * Writers exclude each other.
 *
 * @throws TSB_XZ_CORRUPT when the file is not a whole xz file, TSB_SIGNATURE_BAD when the present index was not signed by this repository's key, TSB_INDEX_INVALID when a
 *   field cannot be written
 */
export async function addTemplate(
  repository: Repository,
  template: NewTemplate,
  signal?: AbortSignal,
): Promise<PublishResult> {
  return withLock(lockPath(repository), { signal }, async () => {
    const key = await ensureKey(repository);
    const sections = await readSections(repository, key);
    const map = await mapOf(template.xzPath, signal);
    const { entry, previous } = toEntry(template, sections, map);
    const section = toSection(formatEntry(entry));
    const changed = previous?.sha512 !== entry.sha512;
    const path = join(repository.dir, entry.file);
    await moveDurably(template.xzPath, path);
    await chmod(path, 0o644);
    await switchIndex(repository, key, { sections, previous, section, map: formatBlockMap(map) });
    const { sha512, compressedSize, revision } = entry;
    return { path, sha512, compressedSize, revision, changed };
  });
}

/**
 * The entries of a repository's index, in its order; none where there is no repository yet. Creates nothing.
 *
 * @throws TSB_SIGNATURE_BAD when the index was not signed by this repository's key, TSB_KEY_INVALID
 */
export async function publishedTemplates(place: RepositoryPlace): Promise<IndexSection[]> {
  const key = await readSigningKey(place.secretKeyPath);
  return key ? readSections(describe(place, key), key) : [];
}

async function mapOf(xzPath: string, signal: AbortSignal | undefined): Promise<BlockMap> {
  await using source = await openFileSource(xzPath);
  return await makeBlockMap(source, await readXzIndex(source, { signal }), signal);
}

/**
 * Writes the block map of `section`, then signs and writes the index with `section` in it. If that fails, the files that no
 * index names are taken away again.
 */
async function switchIndex(
  repository: Repository,
  key: SigningKey,
  change: {
    sections: readonly IndexSection[];
    previous: IndexSection | undefined;
    section: IndexSection;
    map: string;
  },
): Promise<void> {
  const { sections, previous, section, map } = change;
  const next = previous
    ? sections.map((present) => (present === previous ? section : present))
    : [...sections, section];
  try {
    if (section.blocks !== undefined) await writeDurably(join(repository.dir, section.blocks), map, 0o644);
    await writeDurably(repository.indexPath, await clearsign(formatIndex(next), key), 0o644);
  } catch (error) {
    for (const name of filesOf([section]).filter((file) => !filesOf(sections).includes(file)))
      await rm(join(repository.dir, name), { force: true });
    throw error;
  }
  await removeStrays(repository.dir, new Set(filesOf(next)));
}

function filesOf(sections: readonly IndexSection[]): string[] {
  return sections.flatMap(({ file, blocks }) => [file, blocks]).filter((name) => name !== undefined);
}

/** Removes files that only earlier indexes named, and those of writers that died between their file and their index. */
async function removeStrays(dir: string, named: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(dir))
    if (/^[^.].*\.r\d+\.xz(?:\.blocks)?$/.test(name) && !named.has(name))
      await rm(join(dir, name), { force: true });
}

function toEntry(
  template: NewTemplate,
  sections: readonly IndexSection[],
  map: BlockMap,
): { entry: PublishedFields; previous: IndexSection | undefined } {
  const { xzPath: _, ...fields } = template;
  const previous = sections.find(({ name, arch }) => name === template.name && arch === template.arch);
  const { sha512, size: compressedSize } = map;
  const same = previous?.sha512 === sha512;
  const revision = previous ? previous.revision + (same ? 0 : 1) : 1;
  const file =
    same && previous.file !== undefined ? previous.file : `${template.name}-${template.arch}.r${revision}.xz`;
  const blocksSha512 = createHash('sha512').update(formatBlockMap(map)).digest('hex');
  const published = { file, sha512, revision, compressedSize, blocks: `${file}.blocks`, blocksSha512 };
  return { entry: { ...fields, ...published }, previous };
}

async function readSections(repository: Repository, key: SigningKey): Promise<IndexSection[]> {
  const signed = await readIfPresent(repository.indexPath);
  if (signed === undefined) return [];
  return splitIndex(await verifyClearsigned(repository.indexPath, signed, key));
}

async function ensureKey(place: RepositoryPlace): Promise<SigningKey> {
  const present = await readSigningKey(place.secretKeyPath);
  const { indexPath, publicKeyPath } = describe(place, present);
  if (!present && (await readIfPresent(indexPath)) !== undefined) {
    throw new TsbuilderError(
      'TSB_KEY_INVALID',
      `${place.secretKeyPath}: the key that signed ${indexPath} is gone`,
      { hint: `Put the key back, or remove ${place.dir} to begin a new repository.` },
    );
  }
  const key = present ?? (await generateSigningKey());
  if (!present) await writeDurably(place.secretKeyPath, key.secretKey, 0o600);
  if ((await readIfPresent(publicKeyPath)) !== key.publicKey)
    await writeDurably(publicKeyPath, key.publicKey, 0o644);
  return key;
}

function describe(place: RepositoryPlace, key: SigningKey | undefined): Repository {
  const { dir, secretKeyPath } = place;
  return {
    dir,
    indexPath: join(dir, 'index.asc'),
    publicKeyPath: join(dir, 'key.asc'),
    secretKeyPath,
    fingerprint: key?.fingerprint ?? '',
  };
}

function lockPath(place: RepositoryPlace): string {
  return join(place.dir, '.lock');
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
