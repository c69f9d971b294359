import { printableJson } from '../io/printable.js';
import { redactUrl } from '../io/redact-url.js';
import type { ListOptions } from './format-list.js';
import type { SourceRef, TemplateEntry } from './template-entry.js';

/** The list as data, in virt-builder's shape; what virt-builder lacks is marked with a plus. */
export interface ListJson {
  readonly version: 1;
  readonly sources: readonly {
    readonly uri: string;
    readonly key?: string;
    readonly fingerprint?: string;
    /** + */
    readonly name: string;
  }[];
  readonly templates: readonly TemplateJson[];
}

/** One template of {@link ListJson}. */
export interface TemplateJson {
  readonly 'os-version': string;
  readonly 'full-name'?: string;
  readonly arch: string;
  /** Bytes. */
  readonly size: number;
  /** Bytes, as a string: that is what virt-builder prints. */
  readonly 'compressed-size'?: string;
  /** By language; untranslated notes are under `C`. */
  readonly notes?: Readonly<Record<string, string>>;
  readonly aliases?: readonly string[];
  readonly osinfo?: string;
  readonly hidden: boolean;
  /** + */
  readonly revision: string;
  /** + */
  readonly format?: string;
  /** + */
  readonly checksum?: Readonly<Record<string, string>>;
  /** + The `name` of its source. */
  readonly source: string;
  /** + */
  readonly cached?: boolean;
}

/** All templates, hidden ones too, and their sources, as data for `JSON.stringify`. */
export function listJson(entries: readonly TemplateEntry[], options: ListOptions): ListJson {
  return {
    version: 1,
    sources: options.sources.map(sourceJson),
    templates: entries.map((entry) => templateJson(entry, options)),
  };
}

/** {@link listJson} as text for a terminal: characters that could move the cursor or reorder text are escaped. */
export function formatListJson(entries: readonly TemplateEntry[], options: ListOptions): string {
  return `${printableJson(listJson(entries, options))}\n`;
}

function sourceJson({ name, uri, fingerprint, keyFile }: SourceRef): ListJson['sources'][number] {
  return {
    uri: redactUrl(uri),
    ...(keyFile !== undefined && { key: keyFile }),
    ...(fingerprint !== undefined && { fingerprint: fingerprint.toUpperCase() }),
    name,
  };
}

/** The notes of `entry` by language; untranslated ones are under `C`, as virt-builder prints them. */
export function notesByLanguage(entry: Pick<TemplateEntry, 'notes'>): Record<string, string> {
  const notes = Object.entries(entry.notes);
  return Object.fromEntries(notes.map(([language, text]) => [language === '' ? 'C' : language, text]));
}

function templateJson(entry: TemplateEntry, options: ListOptions): TemplateJson {
  const notes = notesByLanguage(entry);
  const { fullName, compressedSize, aliases, osinfo, format, sha512, sha256 } = entry;
  return {
    'os-version': entry.name,
    ...(fullName !== undefined && { 'full-name': fullName }),
    arch: entry.arch,
    size: entry.size,
    ...(compressedSize !== undefined && { 'compressed-size': String(compressedSize) }),
    ...(Object.keys(notes).length > 0 && { notes }),
    ...(aliases.length > 0 && { aliases }),
    ...(osinfo !== undefined && { osinfo }),
    hidden: entry.hidden,
    revision: entry.revision,
    ...(format !== undefined && { format }),
    ...((sha512 ?? sha256) !== undefined && {
      checksum: { ...(sha512 !== undefined && { sha512 }), ...(sha256 !== undefined && { sha256 }) },
    }),
    source: entry.source.name,
    ...(options.isCached && { cached: options.isCached(entry) }),
  };
}
