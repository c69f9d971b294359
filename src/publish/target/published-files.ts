import { readFile, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { TsbuilderError } from '../../errors.js';
import { parseIndex } from '../../index-repo/index-file.js';
import { INDEX_FILE, KEY_FILE, readRepositoryKeys } from '../../index-repo/publish-folder.js';
import { verifyClearsigned } from '../../index-repo/signature.js';
import type { TemplateEntry } from '../../index-repo/template-entry.js';
import { hashFile } from './hash-file.js';
import type { PublishedFile, TargetOptions } from './publish-target.js';

/** A repository whose signatures hold and whose files are what the indexes say. */
export interface VerifiedRepository {
  /** Templates and block maps. */
  readonly content: readonly PublishedFile[];
  readonly key: PublishedFile;
  /** `index.asc` is the last. */
  readonly indexes: readonly PublishedFile[];
  /** Of `index.asc`. */
  readonly entries: readonly TemplateEntry[];
  /** Of the key that signed `index.asc`, upper-case hex. */
  readonly fingerprint: string;
  readonly signedAt: Date;
}

/** An index as its signature vouches for it. */
interface SignedIndex {
  readonly entries: readonly TemplateEntry[];
  readonly fingerprint: string;
  readonly signedAt: Date;
}

/**
 * Verifies the indexes in `dir` as clients do, and reads every file that they name.
 *
 * @throws TSB_NOT_FOUND when it is no repository or a file is missing, TSB_SIGNATURE_*, TSB_INDEX_*, TSB_CHECKSUM_MISMATCH, TSB_SIZE_MISMATCH
 */
export async function verifyForPublishing(dir: string, options: TargetOptions): Promise<VerifiedRepository> {
  const names = (await readdir(dir)).filter((name) => /^index-[0-9a-f]{16}\.asc$/.test(name));
  if (!(await readdir(dir)).includes(INDEX_FILE)) {
    throw new TsbuilderError('TSB_NOT_FOUND', `${dir}: no repository: it has no ${INDEX_FILE}`, {
      hint: `Make one: tsbuilder repo init ${dir}`,
    });
  }
  const others = await Promise.all(names.map((name) => readSigned(dir, name)));
  const main = await readSigned(dir, INDEX_FILE);
  const content = new Map<string, PublishedFile>();
  for (const entry of [...others, main].flatMap(({ entries }) => entries))
    for (const file of await filesOf(dir, entry, { ...options, known: content }))
      content.set(file.name, file);
  const indexes = await Promise.all([...names, INDEX_FILE].map((name) => smallFile(dir, name, options)));
  return { ...main, content: [...content.values()], key: await smallFile(dir, KEY_FILE, options), indexes };
}

/** A file of `dir` that no index has a checksum of. */
export async function smallFile(dir: string, name: string, options: TargetOptions): Promise<PublishedFile> {
  const path = join(dir, name);
  const { size, sha512 } = await hashFile(path, { signal: options.signal });
  return { name, path, size, sha512 };
}

async function readSigned(dir: string, name: string): Promise<SignedIndex> {
  const path = join(dir, name);
  const keys = await readRepositoryKeys(dir);
  const { text, primaryFingerprint, createdAt } = await verifyClearsigned(await readFile(path), {
    ...{ name: path, keys },
  });
  const source = { name: path, uri: path, format: 'native', checked: true } as const;
  return {
    entries: parseIndex(text, { url: path, source }),
    fingerprint: primaryFingerprint.toUpperCase(),
    signedAt: createdAt,
  };
}

async function filesOf(
  dir: string,
  entry: TemplateEntry,
  options: TargetOptions & { readonly known: ReadonlyMap<string, PublishedFile> },
): Promise<PublishedFile[]> {
  const { url, sha512, compressedSize, blocks, blocksSha512 } = entry;
  const wanted = [{ path: url, sha512, length: compressedSize }];
  if (blocks !== undefined) wanted.push({ path: blocks, sha512: blocksSha512, length: undefined });
  if (entry.sigUrl !== undefined) wanted.push({ path: entry.sigUrl, sha512: undefined, length: undefined });
  const files: PublishedFile[] = [];
  for (const { path, ...expected } of wanted) {
    const name = relative(dir, path);
    const found = options.known.get(name) ?? { name, path, ...(await hashFile(path, options)) };
    assertIs(found, expected);
    files.push({ name, path, size: found.size, sha512: found.sha512 });
  }
  return files;
}

function assertIs(
  { path, size, sha512 }: PublishedFile,
  expected: { readonly sha512: string | undefined; readonly length: number | undefined },
): void {
  const hint = 'Nothing was sent. Put the right file back, or publish the template anew: tsbuilder repo add';
  if (expected.length !== undefined && expected.length !== size) {
    const message = `${path}: has ${size} bytes, but the index says ${expected.length}`;
    throw new TsbuilderError('TSB_SIZE_MISMATCH', message, { hint });
  }
  if (expected.sha512 === undefined || expected.sha512 === sha512) return;
  const message = `${path}: has the SHA-512 ${sha512}, but the index says ${expected.sha512}`;
  throw new TsbuilderError('TSB_CHECKSUM_MISMATCH', message, { hint });
}
