import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuilderError, messageOf } from '../../errors.js';
import { MAX_KEY_BYTES } from '../../index-repo/keyring.js';
import { pinnedKey } from '../../index-repo/pinned-key.js';
import { exec } from '../../io/exec.js';
import { fetchSmall } from '../../io/fetch-small.js';
import type { TemplateContext } from './context.js';
import { aptProxyOptions, proxyFor } from './mirror.js';
import type { ArchiveKey } from './schema.js';

/**
 * Options by which mmdebstrap trusts the key that the recipe names and no other: none when it names none, and apt's own keys count.
 * The key comes from this machine's keyring, where it has one, else from a package in the archive, the first of `sources`.
 * Wherever it comes from, only its fingerprint makes it the right one.
 *
 * @throws TSB_KEY_INVALID when neither has the key; TSB_HTTP_STATUS, TSB_NETWORK, TSB_NOT_FOUND when the package cannot be had
 */
export async function archiveKeyOptions(
  context: TemplateContext,
  sources: readonly string[],
): Promise<string[]> {
  const { archiveKey } = context.recipe.debian;
  if (!archiveKey) return [];
  const key = (await ownKey(context, archiveKey)) ?? (await packagedKey(context, sources, archiveKey));
  // In place of apt's keyring and of its folder of keyrings: one option stands for the file, the other for the folder.
  const folder = join(context.workDir, 'archive-key');
  const file = join(folder, 'archive.gpg');
  await mkdir(folder, { mode: 0o755 });
  await writeFile(file, key, { mode: 0o644 });
  return [`--keyring=${file}`, `--keyring=${folder}`];
}

/** The key from this machine's keyring; undefined when there is none, or, with a warning, when it does not have the key. */
async function ownKey(
  { progress, signal }: TemplateContext,
  { keyring, fingerprint }: ArchiveKey,
): Promise<Uint8Array | undefined> {
  try {
    const { data } = await fetchSmall(keyring, { maxBytes: MAX_KEY_BYTES, signal });
    return await pinnedKey(data, { name: keyring, fingerprint });
  } catch (error) {
    if (!(error instanceof TsbuilderError)) throw error;
    if (error.code !== 'TSB_NOT_FOUND') progress.warn(error.message);
    return undefined;
  }
}

async function packagedKey(
  context: TemplateContext,
  sources: readonly string[],
  archiveKey: ArchiveKey,
): Promise<Uint8Array> {
  const { progress, signal } = context;
  const url = `${archiveAddress(sources)}/${archiveKey.package}`;
  using _ = progress.step('Fetching the key of the archive');
  const proxy = proxyFor(url, await aptProxyOptions(signal));
  const { data } = await fetchSmall(url, { maxBytes: MAX_KEY_BYTES, proxy, signal });
  try {
    const keyring = await memberOf(context, data, archiveKey.keyring);
    return await pinnedKey(keyring, { name: url, fingerprint: archiveKey.fingerprint });
  } catch (error) {
    signal?.throwIfAborted();
    throw new TsbuilderError('TSB_KEY_INVALID', messageOf(error), {
      hint: 'Without the key that the recipe names nothing from this archive can be trusted: check the mirror, and the fingerprint in the recipe.',
      details: { url, fingerprint: archiveKey.fingerprint },
      cause: error,
    });
  }
}

/** The address in the first line of sources.list, without a slash at the end. */
function archiveAddress(sources: readonly string[]): string {
  const address = sources[0]?.split(/\s+/).find((word) => /^[a-z][a-z0-9+]*:\//.test(word));
  return (address ?? '').replace(/\/+$/, '');
}

/** The content of the file `path` of a Debian package. Nothing of the package is unpacked into a folder. */
async function memberOf(
  { workDir, signal }: TemplateContext,
  deb: Uint8Array,
  path: string,
): Promise<Buffer> {
  const file = join(workDir, 'archive-key.deb');
  await writeFile(file, deb);
  const { stdoutBytes } = await exec('dpkg-deb', ['--fsys-tarfile', file], { signal, debianPackage: 'dpkg' });
  const member = ['--extract', '--to-stdout', '--file', '-', '--', `.${path}`];
  return (await exec('tar', member, { signal, input: stdoutBytes })).stdoutBytes;
}
