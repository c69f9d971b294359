import { describe, expect, it } from 'vitest';
import { changesUnasked, withFormerWords } from '../../src/index-repo/former-fields.js';
import { parseIndex } from '../../src/index-repo/index-file.js';
import type { TemplateFields } from '../../src/index-repo/publish-entry.js';

const source = { name: 'r', uri: 'index.asc', format: 'native', checked: true } as const;
const TEXT = `[deb]
name=Debian 12
osinfo=debian12
file=deb.xz
arch=x86_64
size=1
expand=/dev/sda1
notes=One.
 Two.
notes[de]=Eins.
aliases=latest stable
hidden=true
`;
const [former] = parseIndex(TEXT, { url: 'index.asc', source });
const base: TemplateFields = { name: 'deb', arch: 'x86_64', format: 'raw', size: 1 };

describe('withFormerWords', () => {
  it('keeps notes, aliases and hiding where nothing is said', () => {
    expect(withFormerWords(base, former)).toEqual({
      ...base,
      ...{ notes: { '': 'One.\nTwo.', de: 'Eins.' }, aliases: ['latest', 'stable'], hidden: true },
    });
  });

  it('takes what is said as it is, nothing too', () => {
    const said = { notes: { fr: 'Un.' }, aliases: [], hidden: false };
    expect(withFormerWords({ ...base, ...said }, former)).toEqual({ ...base, ...said });
  });

  it('adds nothing to a first revision', () => {
    expect(withFormerWords(base, undefined)).toEqual(base);
  });
});

describe('changesUnasked', () => {
  const now = { ...base, fullName: 'Debian 13', osinfo: 'debian12', lvexpand: '/dev/vg/root' };

  it('tells what the disk changes', () => {
    expect(changesUnasked(now, former, {})).toEqual([
      'its full name was Debian 12, and is Debian 13 now',
      'the partition that grows was /dev/sda1, and is not told now',
      'the volume that grows was not told, and is /dev/vg/root now',
    ]);
  });

  it('is silent on what was asked for, and on a first revision', () => {
    const given = { fullName: 'Debian 13', expand: '/dev/sda2', lvexpand: '/dev/vg/root' };
    expect(changesUnasked({ ...now, ...given }, former, given)).toEqual([]);
    expect(changesUnasked(now, undefined, {})).toEqual([]);
  });
});
