import type { PublicKey } from 'openpgp';
import { TsbuilderError, messageOf } from '../errors.js';
import { exec } from '../io/exec.js';
import { fetchSmall } from '../io/fetch-small.js';
import { MAX_KEY_BYTES, pinKeys, readKeyring } from './keyring.js';
import type { SourceConfig } from './source-config.js';

/**
 * The keys trusted for a source: those of its key files, or for a source with fingerprints only, from the user's own GnuPG
 * keyring; restricted to its fingerprints, if it has any.
 *
 * @throws TSB_KEY_INVALID when it names no key at all, a key file cannot be read, or no key has the fingerprint
 */
export async function trustedKeys(
  source: SourceConfig,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<readonly PublicKey[]> {
  const { keyFiles, fingerprints, name } = source;
  if (keyFiles.length === 0 && fingerprints.length === 0) {
    throw new TsbuilderError('TSB_KEY_INVALID', `${name}: has no key to check its signature by`, {
      hint: `Add gpgkey=FILE to it in ${source.origin}; --no-check-signature would trust whoever controls the server.`,
    });
  }
  const files =
    keyFiles.length > 0
      ? keyFiles.map((path) => readKeyFile(path, options.signal))
      : [exportKeys(source, options.signal)];
  const keys = pinKeys((await Promise.all(files)).flat(), fingerprints);
  if (keys.length > 0) return keys;
  throw new TsbuilderError(
    'TSB_KEY_INVALID',
    `${name}: no key with fingerprint ${fingerprints.join(', ')} in ${keyFiles.join(', ')}`,
    { details: { fingerprints: fingerprints.join(','), files: keyFiles.join(',') } },
  );
}

/**
 * Which of a source's key files has which primary key: paths by fingerprint (lower-case hex), the first file first.
 *
 * @throws TSB_KEY_INVALID
 */
export async function keyFilesByFingerprint(
  source: SourceConfig,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  for (const path of source.keyFiles.toReversed())
    for (const key of await readKeyFile(path, options.signal)) files.set(key.getFingerprint(), path);
  return files;
}

/** The keys of one local file. @throws TSB_KEY_INVALID when it cannot be read or holds no key */
async function readKeyFile(path: string, signal?: AbortSignal): Promise<PublicKey[]> {
  try {
    const { data } = await fetchSmall(path, { maxBytes: MAX_KEY_BYTES, signal });
    return await readKeyring(data, path);
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof TsbuilderError && error.code === 'TSB_KEY_INVALID') throw error;
    throw new TsbuilderError('TSB_KEY_INVALID', `key file cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function exportKeys(source: SourceConfig, signal: AbortSignal | undefined): Promise<PublicKey[]> {
  const { fingerprints, name } = source;
  const args = ['--batch', '--no-tty', '--quiet', '--armor', '--export', '--', ...fingerprints];
  const { stdout } = await exec('gpg', args, { signal, debianPackage: 'gnupg' });
  if (stdout.includes('PGP PUBLIC KEY')) return readKeyring(Buffer.from(stdout), 'GnuPG keyring');
  throw new TsbuilderError(
    'TSB_KEY_INVALID',
    `${name}: your GnuPG keyring has no key ${fingerprints.join(', ')}`,
    { hint: 'Import it (gpg --import FILE), or give the file: --key FILE.' },
  );
}
