import { createHash } from 'node:crypto';
import type { TemplateEntry } from '../../src/index-repo/template-entry.js';

/** An entry for `data` at `url`, with its checksum; `changes` replace fields, and undefined removes one. */
export function templateEntry(
  url: string,
  data: Uint8Array,
  changes: { [K in keyof TemplateEntry]?: TemplateEntry[K] | undefined } = {},
): TemplateEntry {
  const entry: TemplateEntry = {
    name: 'debian-12',
    arch: 'x86_64',
    url,
    sha512: createHash('sha512').update(data).digest('hex'),
    revision: '1',
    size: 10_000_000,
    compressedSize: data.length,
    notes: {},
    hidden: false,
    aliases: [],
    source: { name: 'test', uri: 'http://localhost/index.asc', format: 'native', checked: true },
  };
  return { ...entry, ...changes } as TemplateEntry;
}
