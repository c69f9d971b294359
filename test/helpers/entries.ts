import type { SourceRef, TemplateEntry } from '../../src/index-repo/template-entry.js';

/** A source that was verified, for tests that only need one. */
export const SOURCE: SourceRef = {
  name: 'test',
  uri: 'https://example.org/repo/index.asc',
  format: 'native',
  fingerprint: 'ab'.repeat(20),
  checked: true,
};

/** A template entry with everything required, and `fields` on top. */
export function entry(fields: Partial<TemplateEntry> = {}): TemplateEntry {
  return {
    name: 'debian-12',
    arch: 'x86_64',
    url: 'https://example.org/repo/debian-12.xz',
    revision: '1',
    size: 4_294_967_296,
    notes: {},
    hidden: false,
    aliases: [],
    source: SOURCE,
    ...fields,
  };
}
