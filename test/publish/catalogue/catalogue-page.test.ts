import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Catalogue, cataloguePage } from '../../../src/publish/catalogue/catalogue-page.js';

const plain: Catalogue = {
  ...{ name: 'example', url: 'https://example.com/repo', isUrlKnown: true, fingerprint: 'AB'.repeat(20) },
  signedAt: new Date('2026-01-02T03:04:05Z'),
  templates: [
    {
      ...{ name: 'debian-12', fullName: 'Debian 12', osinfo: 'debian12', arch: 'x86_64', revision: '3' },
      ...{ size: 4 * 1024 ** 3, compressedSize: 123 * 1024 ** 2, aliases: ['latest'], expand: '/dev/sda1' },
      notes: { '': 'First line\nsecond line', de: 'Notizen' },
      picture: '<svg></svg>\n',
    },
  ],
};

/** The tags of a page, without what is in their quoted attributes. */
function tagsOf(page: string): string[] {
  return [...page.matchAll(/<[^>]*>/g)].map(([tag]) => tag.replace(/"[^"]*"/g, '""'));
}

describe('cataloguePage', () => {
  it('shows facts, notes, the picture and commands to copy', () => {
    const page = cataloguePage(plain);
    for (const words of [
      ...['Debian 12', 'x86_64', '4 GiB', '123 MiB', 'latest', '/dev/sda1', 'First line\nsecond line'],
      ...['Notes (de)', '<svg></svg>', 'AB'.repeat(20), 'signed 2026-01-02'],
      `tsbuilder debian-12 --source https://example.com/repo/index.asc --key key.asc --fingerprint ${'AB'.repeat(20)}`,
      `virt-builder debian-12 --source https://example.com/repo/index.asc --fingerprint ${'AB'.repeat(20)}`,
    ])
      expect(page).toContain(words);
    expect(page).not.toContain('--arch');
    expect(page).not.toContain('<script');
    expect(page).toContain(`default-src 'none'`);
  });

  it('names the architecture where several templates have the name', () => {
    const [template] = plain.templates;
    const page = cataloguePage({ ...plain, templates: [template!, { ...template!, arch: 'aarch64' }] });
    expect(page).toContain('tsbuilder debian-12 --arch aarch64 --source');
    expect(page).toContain('2 templates');
  });

  it('quotes for the shell what is no plain word', () => {
    const page = cataloguePage({ ...plain, url: `https://example.com/a'b;c` });
    expect(page).toContain(`&#39;https://example.com/a&#39;\\&#39;&#39;b;c/index.asc&#39;`);
  });

  it('has the same tags whatever the texts of the index are', () => {
    const evil = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        '<script>alert(1)</script>',
        '" onload="x',
        `'><img src=x>`,
        '</pre>',
        '&lt;',
        '\u202e',
      ),
    );
    const rest = tagsOf(
      cataloguePage({ ...plain, templates: [{ ...plain.templates[0]!, notes: { '': 'x' } }] }),
    );
    const texts = { name: evil, fullName: evil, osinfo: evil, arch: evil, revision: evil, expand: evil };
    const hostile = fc.record({ ...texts, alias: evil, url: evil, note: evil });
    fc.assert(
      fc.property(hostile, ({ alias, url, note, ...fields }) => {
        const template = { ...plain.templates[0]!, ...fields, aliases: [alias], notes: { '': `x${note}` } };
        const page = cataloguePage({ ...plain, name: fields.name, url, templates: [template] });
        expect(tagsOf(page)).toEqual(rest);
      }),
    );
  });
});
