import { dirname, resolve } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { parseLocation } from '../io/source-location.js';
import { type Section, readSections } from './index-lexer.js';
import { parseFingerprint } from './keyring.js';
import { printable } from '../io/printable.js';
import type { SourceConfig } from './source-config.js';

/** What a .conf file says about one `[id]`. */
export type ConfSection =
  | { readonly kind: 'source'; readonly source: SourceConfig }
  /** `enabled=false`: hides sources of the same id in later folders. */
  | { readonly kind: 'disabled'; readonly name: string }
  | { readonly kind: 'ignored'; readonly reason: string };

/**
 * Reads the text of a repos.d .conf file. Relative paths in it are relative to its folder. A source whose key or
 * location cannot be used keeps its place, with the problem: it is never used without the check it asks for.
 *
 * @throws TSB_INDEX_SYNTAX with path, line and column
 */
export function parseSourceConf(text: string, path: string): ConfSection[] {
  return readSections(text, { url: path }).map((section) => readConfSection(section, path));
}

function readConfSection(section: Section, path: string): ConfSection {
  const fields = new Map<string, string>();
  for (const { key, subkey, value } of section.fields)
    if (subkey === undefined && !fields.has(key)) fields.set(key, value);
  const where = `${path}: [${section.name}]`;
  if (/^(?:false|no|0)$/.test(fields.get('enabled') ?? '')) return { kind: 'disabled', name: section.name };
  const uri = fields.get('uri');
  if (uri === undefined || uri === '')
    return { kind: 'ignored', reason: `${where} has no uri=; it is not used` };
  const format = fields.get('format') ?? 'native';
  if (format !== 'native' && format !== 'simplestreams') {
    const reason = `${where}: format "${printable(format)}" is neither native nor simplestreams; it is not used`;
    return { kind: 'ignored', reason };
  }
  const common = { name: section.name, format, proxy: fields.get('proxy'), origin: path } as const;
  try {
    const keyFiles = keyFilesOf(fields.get('gpgkey'), where, dirname(path));
    const fingerprints = (fields.get('fingerprint') ?? '')
      .split(/[,\n]/)
      .filter((text) => text.trim() !== '');
    const source = { ...common, uri: locate(uri, path), keyFiles };
    return { kind: 'source', source: { ...source, fingerprints: fingerprints.map(parseFingerprint) } };
  } catch (error) {
    if (!(error instanceof TsbuilderError)) throw error;
    return { kind: 'source', source: { ...common, uri, keyFiles: [], fingerprints: [], problem: error } };
  }
}

/** A location as written in a file: a path is relative to the file's folder. */
function locate(uri: string, confPath: string): string {
  const location = parseLocation(uri);
  return location.kind === 'file' && !/^file:/i.test(uri) ? resolve(dirname(confPath), uri) : uri;
}

function keyFilesOf(gpgkey: string | undefined, where: string, folder: string): string[] {
  if (gpgkey === undefined || gpgkey === '') return [];
  if (/^[a-z][a-z0-9+.-]*:/i.test(gpgkey) && !/^file:/i.test(gpgkey)) {
    throw new TsbuilderError(
      'TSB_KEY_INVALID',
      `${where}: gpgkey must be a local file, not "${printable(gpgkey)}"`,
      {
        hint: 'A key that comes over the network proves nothing. Download it, check its fingerprint, and name the file.',
      },
    );
  }
  const location = parseLocation(gpgkey);
  return location.kind === 'file' ? [resolve(folder, location.path)] : [];
}
