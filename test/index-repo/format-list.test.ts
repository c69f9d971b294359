import { describe, expect, it } from 'vitest';
import { chooseNotes } from '../../src/index-repo/choose-notes.js';
import { formatListJson, listJson, notesByLanguage } from '../../src/index-repo/format-list-json.js';
import { formatListLong, formatListShort, formatNotes } from '../../src/index-repo/format-list.js';
import { printable } from '../../src/io/printable.js';
import { SOURCE, entry } from '../helpers/entries.js';

const FULL = entry({
  fullName: 'Debian 12 (bookworm)',
  osinfo: 'debian12',
  revision: '3',
  format: 'raw',
  sha512: '00'.repeat(64),
  compressedSize: 128_974_848,
  notes: { '': 'Plain.\nTwo lines.', fr: 'En français.' },
  aliases: ['bookworm', 'stable'],
});
const HIDDEN = entry({ name: 'secret', hidden: true });
const EVIL = entry({
  name: 'evil',
  fullName: 'x\u001b[2J\u0007\u009b31m\u202e',
  notes: { '': '\u001b]0;t\u0007\ttab' },
});
const OPTIONS = { sources: [SOURCE], env: {} };
const CONTROL = /[^\P{Cc}\n]|\u202e/u;

describe('formatListShort', () => {
  it('has the columns of virt-builder', () => {
    expect(formatListShort([FULL, HIDDEN, entry({ name: 'a', arch: 's390x' })])).toBe(
      'debian-12                x86_64     Debian 12 (bookworm)\na                        s390x\n',
    );
  });

  it('is empty without entries', () => {
    expect(formatListShort([])).toBe('');
  });

  it('escapes control characters', () => {
    expect(formatListShort([EVIL])).toContain('x\\x1b[2J\\x07\\x9b31m\\u202e');
    expect(formatListShort([EVIL])).not.toMatch(CONTROL);
  });
});

describe('formatListLong', () => {
  it('has the labels of virt-builder', () => {
    expect(formatListLong([FULL, HIDDEN], { ...OPTIONS, isCached: () => true })).toBe(`\
Source URI:              https://example.org/repo/index.asc
Fingerprint:             ${'AB'.repeat(20)}

os-version:              debian-12
Full name:               Debian 12 (bookworm)
Architecture:            x86_64
Minimum/default size:    4 GiB
Download size:           123 MiB
Aliases:                 bookworm stable
Revision:                3
Source:                  test
Cached:                  yes
Notes:

Plain.
Two lines.
`);
  });

  it('says by what a source is trusted, without credentials', () => {
    const sources = [
      { ...SOURCE, fingerprint: undefined, keyFile: '/k.asc', uri: 'https://u:p@example.org/index?t=1' },
      { ...SOURCE, fingerprint: undefined, checked: false },
    ];
    const text = formatListLong([], { sources, env: {} });
    expect(text).toContain('Key:                     /k.asc');
    expect(text).toContain('Signature:               not checked');
    expect(text).not.toContain('u:p');
  });

  it('escapes control characters', () => {
    expect(formatListLong([EVIL], OPTIONS)).not.toMatch(CONTROL);
  });
});

describe('formatListJson', () => {
  it("has virt-builder's shape, and more", () => {
    expect(
      JSON.parse(formatListJson([FULL, HIDDEN], { ...OPTIONS, isCached: ({ name }) => name === 'secret' })),
    ).toEqual({
      version: 1,
      sources: [{ uri: 'https://example.org/repo/index.asc', fingerprint: 'AB'.repeat(20), name: 'test' }],
      templates: [
        {
          'os-version': 'debian-12',
          'full-name': 'Debian 12 (bookworm)',
          arch: 'x86_64',
          size: 4_294_967_296,
          'compressed-size': '128974848',
          notes: { C: 'Plain.\nTwo lines.', fr: 'En français.' },
          aliases: ['bookworm', 'stable'],
          osinfo: 'debian12',
          hidden: false,
          revision: '3',
          format: 'raw',
          checksum: { sha512: '00'.repeat(64) },
          source: 'test',
          cached: false,
        },
        {
          'os-version': 'secret',
          arch: 'x86_64',
          size: 4_294_967_296,
          hidden: true,
          revision: '1',
          source: 'test',
          cached: true,
        },
      ],
    });
  });

  it('escapes what a terminal would act on, and loses nothing', () => {
    const text = formatListJson([EVIL], OPTIONS);
    expect(text).not.toMatch(CONTROL);
    expect(JSON.parse(text)).toEqual(listJson([EVIL], OPTIONS));
  });
});

describe('notes', () => {
  const notes = { '': 'C', fr: 'fr', pt_BR: 'br', pt: 'pt', de: 'de' };
  it.each([
    [{}, 'C'],
    [{ LANG: 'C.UTF-8' }, 'C'],
    [{ LANG: 'fr_FR.UTF-8' }, 'fr'],
    [{ LANG: 'pt_BR.UTF-8' }, 'br'],
    [{ LANG: 'pt_PT' }, 'pt'],
    [{ LANG: 'ja_JP.UTF-8' }, 'C'],
    [{ LANG: 'fr_FR', LC_ALL: 'de_DE.UTF-8' }, 'de'],
    [{ LANG: 'fr_FR', LC_MESSAGES: 'de_DE' }, 'de'],
    [{ LANG: 'fr_FR', LANGUAGE: 'ja:de' }, 'de'],
    [{ LANG: 'C', LANGUAGE: 'de' }, 'C'],
  ])('in %j: %s', (env, expected) => {
    expect(chooseNotes(notes, env)).toBe(expected);
  });

  it('are empty when there are none', () => {
    expect(chooseNotes({ fr: 'x' }, {})).toBeUndefined();
    expect(formatNotes(entry(), {})).toBe('');
  });

  it('keep their lines, and no control characters', () => {
    expect(formatNotes(FULL, {})).toBe('Plain.\nTwo lines.\n');
    expect(formatNotes(EVIL, {})).toBe('\\x1b]0;t\\x07    tab\n');
  });
});

describe('printable', () => {
  it('leaves ordinary text of any script alone', () => {
    for (const text of ['Debian 12', 'Zürich', '日本語', 'עברית', '🙂']) expect(printable(text)).toBe(text);
  });
});

describe('notesByLanguage', () => {
  it('has untranslated notes under C, as the list has', () => {
    expect(notesByLanguage(FULL)).toEqual({ C: 'Plain.\nTwo lines.', fr: 'En français.' });
  });
});
