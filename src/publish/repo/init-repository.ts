import { mkdir, rename, rmdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { TsbuilderError } from '../../errors.js';
import { changeRepository } from '../../index-repo/publish-change.js';
import { ensureFolder } from '../../index-repo/publish-file.js';
import { INDEX_FILE, KEY_FILE, readIfPresent } from '../../index-repo/publish-folder.js';
import { openKeyFile } from '../../index-repo/publish-key.js';
import type { IndexSigner } from '../../index-repo/publish-signer.js';
import { makeKeyFile } from '../../index-repo/publish.js';
import { tempName } from '../../io/temp-name.js';
import { type SignerRequest, keptKeyPath, namedSigners } from './open-signers.js';

/** A repository to begin. */
export interface InitRequest extends SignerRequest {
  readonly dir: string;
  /** User ID of the key that is made. Default: the folder's name. */
  readonly userId?: string | undefined;
}

/** A repository that was begun. */
export interface InitResult {
  readonly dir: string;
  readonly fingerprint: string;
  readonly index: string;
  readonly publicKey: string;
  /** Where the secret key is: a path, or `gpg`. */
  readonly keptIn: string;
  readonly madeKey: boolean;
  /** A source for users, as a .conf file. */
  readonly conf: string;
}

/**
 * Makes a folder into an empty, signed repository, with a new key if none is named.
 *
 * @throws TSB_OUTPUT_EXISTS when it has an index, and the codes of `namedSigners`
 */
export async function initRepository(request: InitRequest): Promise<InitResult> {
  const dir = resolve(request.dir);
  const index = join(dir, INDEX_FILE);
  if ((await readIfPresent(index)) !== undefined)
    throw new TsbuilderError('TSB_OUTPUT_EXISTS', `${index}: there is a repository already`);
  const named = await namedSigners(request);
  if (named.length > 1)
    throw new TsbuilderError('TSB_USAGE', 'a repository begins with one key, not with several');
  const signer = named[0] ?? (await newSigner(request.userId ?? basename(dir)));
  const made = await mkdir(dir, { recursive: true, mode: 0o755 });
  const publisher = { dir, signers: [signer], keep: 1, expiresMs: request.expiresMs, warn: request.warn };
  try {
    await changeRepository(
      publisher,
      (sections) => Promise.resolve({ change: { sections }, result: undefined }),
      request.signal,
    );
  } catch (error) {
    // A folder that was there already may hold other things.
    if (made !== undefined) await rmdir(dir).catch(() => undefined);
    throw error;
  }
  const { fingerprint, keptIn } = signer;
  const publicKey = join(dir, KEY_FILE);
  const conf = formatConf(basename(dir), { index, publicKey });
  return { dir, fingerprint, index, publicKey, keptIn, madeKey: named.length === 0, conf };
}

/** A new key, kept in the user's data folder under its fingerprint. */
export async function newSigner(userId: string): Promise<IndexSigner> {
  const folder = dirname(keptKeyPath(''));
  await ensureFolder(folder, 0o700);
  const temp = join(folder, tempName('new.asc'));
  const { fingerprint } = await makeKeyFile(temp, userId);
  const path = keptKeyPath(fingerprint);
  await rename(temp, path);
  const signer = await openKeyFile(path);
  if (signer) return signer;
  throw new TsbuilderError('TSB_KEY_INVALID', `${path}: the key just written is gone`);
}

function formatConf(name: string, { index, publicKey }: { index: string; publicKey: string }): string {
  const id = name.replace(/[^A-Za-z0-9._-]/g, '-');
  return `[${id}]\nuri=${pathToFileURL(index).href}\ngpgkey=${pathToFileURL(publicKey).href}\n`;
}
