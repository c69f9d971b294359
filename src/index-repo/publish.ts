import { dirname, join } from 'node:path';
import { TsbuilderError } from '../errors.js';
import type { Publisher } from './publish-change.js';
import type { IndexSection } from './publish-entry.js';
import { ensureFolder, writeDurably } from './publish-file.js';
import {
  INDEX_FILE,
  KEY_FILE,
  readIfPresent,
  readPresentIndex,
  writeRepositoryKeys,
} from './publish-folder.js';
import { type WriterTurn, asWriter } from './publish-lock.js';
import { generateSigningKey, openKeyFile } from './publish-key.js';
import { type IndexSigner, publicKeysOf } from './publish-signer.js';
import { type NewTemplate, type PublishResult, publishTemplate } from './publish-template.js';

export type { PublishResult } from './publish-template.js';

/** A folder with a clearsigned index (`index.asc`), its public key (`key.asc`) and the files that the index names. */
export interface Repository {
  readonly dir: string;
  readonly indexPath: string;
  readonly publicKeyPath: string;
  readonly secretKeyPath: string;
  /** Of the signing key, upper-case hex. */
  readonly fingerprint: string;
}

/** Where a repository and its secret key are. */
export interface RepositoryPlace {
  readonly dir: string;
  readonly secretKeyPath: string;
}

const USER_ID = 'tsbuilder local repository';

/**
 * Makes the folder, and the key that signs its index, if they are missing.
 *
 * @throws TSB_KEY_INVALID when the key file cannot be used, or is gone although the folder has a signed index
 */
export async function ensureRepository(place: RepositoryPlace, turn: WriterTurn = {}): Promise<Repository> {
  await ensureFolder(place.dir, 0o755);
  await ensureFolder(dirname(place.secretKeyPath), 0o700);
  return asWriter(place.dir, turn, async () => describe(place, await ensureKey(place)));
}

/**
 * Adds a template to the repository, or replaces the one of the same name and architecture, whose file goes: see `publishTemplate`.
 *
 * @throws as `publishTemplate`, and TSB_KEY_INVALID
 */
export async function addTemplate(
  repository: Repository,
  template: NewTemplate,
  turn: WriterTurn = {},
): Promise<PublishResult> {
  const { dir } = repository;
  const signer = await asWriter(dir, turn, () => ensureKey(repository));
  const publisher: Publisher = { dir, signers: [signer], keep: 0, warn: turn.warn };
  return publishTemplate(publisher, template, turn.signal);
}

/**
 * The entries of a repository's index, in its order; none where there is no repository yet. Creates nothing.
 *
 * @throws TSB_SIGNATURE_BAD when the index was not signed by this repository's key, TSB_KEY_INVALID
 */
export async function publishedTemplates(place: RepositoryPlace): Promise<readonly IndexSection[]> {
  const key = await openKeyFile(place.secretKeyPath);
  return key ? (await readPresentIndex(place.dir, await publicKeysOf([key]))).sections : [];
}

async function ensureKey(place: RepositoryPlace): Promise<IndexSigner> {
  const { dir, secretKeyPath } = place;
  const present = await openKeyFile(secretKeyPath);
  const indexPath = join(dir, INDEX_FILE);
  if (!present && (await readIfPresent(indexPath)) !== undefined) {
    throw new TsbuilderError(
      'TSB_KEY_INVALID',
      `${secretKeyPath}: the key that signed ${indexPath} is gone`,
      { hint: `Put the key back, or remove ${dir} to begin a new repository.` },
    );
  }
  const signer = present ?? (await makeKeyFile(secretKeyPath, USER_ID));
  await writeRepositoryKeys(dir, await publicKeysOf([signer]));
  return signer;
}

/** Makes a key and writes its secret half to a new file that only its owner can read. */
export async function makeKeyFile(path: string, userId: string): Promise<IndexSigner> {
  await writeDurably(path, (await generateSigningKey(userId)).secretKey, 0o600);
  const signer = await openKeyFile(path);
  if (signer) return signer;
  throw new TsbuilderError('TSB_KEY_INVALID', `${path}: the key just written is gone`);
}

function describe(place: RepositoryPlace, { fingerprint }: IndexSigner): Repository {
  const { dir, secretKeyPath } = place;
  return {
    dir,
    indexPath: join(dir, INDEX_FILE),
    publicKeyPath: join(dir, KEY_FILE),
    secretKeyPath,
    fingerprint,
  };
}
