import { access } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { TsbuilderError, messageOf } from '../errors.js';
import { parseLocation } from '../io/source-location.js';
import { isTemplateName } from './index-file.js';
import { parseFingerprint } from './keyring.js';
import { replaceFile } from './replace-file.js';
import type { SourceConfig } from './source-config.js';
import { trustedKeys } from './source-keys.js';
import { userSourcesFolder } from './user-folders.js';

/** A source to add to the user's own. */
export interface NewSource {
  readonly name: string;
  readonly uri: string;
  readonly format: 'native' | 'simplestreams';
  readonly proxy?: string | undefined;
  /** Files with the keys to trust. */
  readonly keyFiles: readonly string[];
  /** Restricts the keys of the files; without files, the keys come from the user's GnuPG keyring. */
  readonly fingerprints: readonly string[];
}

/** A source that could be added: what it would be, and the text of its key file. */
export interface PreparedSource {
  readonly source: SourceConfig;
  /** Fingerprints of the primary keys that will be trusted. */
  readonly trusted: readonly string[];
  readonly armouredKeys: string;
}

/**
 * Checks a new source and reads its keys, without changing anything.
 *
 * @throws TSB_USAGE for a name, location or fingerprint that cannot be used; TSB_KEY_INVALID for keys; TSB_OUTPUT_EXISTS
 *   when there is a file of its name, unless `force`
 */
export async function prepareSource(
  wanted: NewSource,
  options: { folder?: string; force: boolean; signal?: AbortSignal | undefined },
): Promise<PreparedSource> {
  const { folder = userSourcesFolder(), force, signal } = options;
  const { name, uri, format, proxy } = wanted;
  if (!isTemplateName(name)) {
    throw new TsbuilderError('TSB_USAGE', `${JSON.stringify(name)} cannot be the name of a source`, {
      hint: 'Use letters, digits, dots, dashes and underscores; begin with a letter or digit.',
    });
  }
  for (const value of [uri, proxy ?? '']) assertOneLine(value);
  const path = join(folder, `${name}.conf`);
  if (!force && (await exists(path)))
    throw new TsbuilderError('TSB_OUTPUT_EXISTS', `${path}: exists`, { hint: 'Replace it with --force.' });
  const isPath = parseLocation(uri).kind === 'file' && !/^file:/i.test(uri);
  const source: SourceConfig = {
    name,
    uri: isPath ? resolve(uri) : uri,
    format,
    proxy,
    keyFiles: wanted.keyFiles.map((file) => resolve(file)),
    fingerprints: wanted.fingerprints.map(parseFingerprint),
    origin: path,
  };
  if (source.keyFiles.length + source.fingerprints.length === 0) {
    throw new TsbuilderError(
      'TSB_USAGE',
      `source ${name} needs --key or --fingerprint, to check who signed its index`,
    );
  }
  const keys = await trustedKeys(source, { signal });
  const armouredKeys = keys.map((key) => key.armor().replaceAll('\r\n', '\n')).join('');
  return { source, trusted: keys.map((key) => key.getFingerprint()), armouredKeys };
}

/** Writes the source's key file and .conf file. @throws TSB_IO */
export async function addSource({ source, armouredKeys }: PreparedSource): Promise<void> {
  const { name, uri, format, proxy, origin } = source;
  const lines = [`[${name}]`, `uri=${uri}`, `gpgkey=${name}.asc`];
  if (format !== 'native') lines.push(`format=${format}`);
  if (proxy !== undefined) lines.push(`proxy=${proxy}`);
  await writeSourceFile(join(dirname(origin), `${name}.asc`), armouredKeys);
  await writeSourceFile(origin, `${lines.join('\n')}\n`);
}

function assertOneLine(text: string): void {
  if (/\p{Cc}/u.test(text) || text.trim() !== text)
    throw new TsbuilderError(
      'TSB_USAGE',
      `${JSON.stringify(text)} has control characters or blanks around it`,
    );
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Writes a .conf or key file. @throws TSB_IO */
export async function writeSourceFile(path: string, text: string): Promise<void> {
  await replaceFile(path, text).catch((error: unknown) => {
    throw new TsbuilderError('TSB_IO', `${path}: cannot be written: ${messageOf(error)}`, { cause: error });
  });
}
