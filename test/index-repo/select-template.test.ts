import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TsbuilderError } from '../../src/errors.js';
import { hostArchitecture, normaliseArchitecture } from '../../src/index-repo/architecture.js';
import { closeNames } from '../../src/index-repo/close-names.js';
import { compareRevisions } from '../../src/index-repo/revision.js';
import { bestEntries, rivalsOf, selectTemplate } from '../../src/index-repo/select-template.js';
import { SOURCE, entry } from '../helpers/entries.js';

describe('compareRevisions', () => {
  it.each([
    ['9', '10'],
    ['1', '2'],
    ['99999999999999999999', '100000000000000000000'],
    ['1.9', '1.10'],
    ['20230101', '20230101.1'],
    ['20230101.9', '20230101.10'],
    ['1-alpha', '1-beta'],
    ['8', '09'],
  ])('%s is lower than %s', (low, high) => {
    expect(compareRevisions(low, high)).toBeLessThan(0);
    expect(compareRevisions(high, low)).toBeGreaterThan(0);
  });

  it('is a total order', () => {
    const revision = fc.string({ unit: fc.constantFrom('0', '1', '9', '.', '-', 'a', 'b'), maxLength: 6 });
    fc.assert(
      fc.property(revision, revision, revision, (a, b, c) => {
        expect(Math.sign(compareRevisions(a, b))).toBe(-Math.sign(compareRevisions(b, a)) + 0);
        expect(compareRevisions(a, a)).toBe(0);
        if (compareRevisions(a, b) <= 0 && compareRevisions(b, c) <= 0)
          expect(compareRevisions(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });

  it('compares whole numbers as numbers', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (a, b) => {
        expect(Math.sign(compareRevisions(String(a), String(b)))).toBe(Math.sign(a - b));
      }),
    );
  });
});

describe('normaliseArchitecture', () => {
  it.each([
    ['amd64', 'x86_64'],
    ['AMD64', 'x86_64'],
    ['x64', 'x86_64'],
    ['x86_64', 'x86_64'],
    ['arm64', 'aarch64'],
    ['i386', 'i686'],
    ['i586', 'i686'],
    ['ppc64el', 'ppc64le'],
    ['s390x', 's390x'],
    ['sparc64', 'sparc64'],
  ])('%s is %s', (text, expected) => {
    expect(normaliseArchitecture(text)).toBe(expected);
  });

  it('knows this machine', async () => {
    const { exec } = await import('../../src/io/exec.js');
    const { stdout } = await exec('uname', ['-m']);
    expect(hostArchitecture()).toBe(normaliseArchitecture(stdout.trim()));
  });
});

describe('selectTemplate', () => {
  const other = { ...SOURCE, name: 'other' };

  it('knows what the other sources have under the same name', () => {
    const chosen = entry({ revision: '9' });
    const rivals = ['1', '2'].map((revision) => entry({ revision, arch: 'amd64', source: other }));
    const unrelated = [entry({ name: 'x', source: other }), entry({ arch: 's390x', source: other })];
    expect(rivalsOf(chosen, [chosen, entry({ revision: '3' }), ...rivals, ...unrelated])).toEqual([
      rivals[1],
    ]);
  });

  it('takes the highest revision, whatever the order', () => {
    const entries = [entry({ revision: '9' }), entry({ revision: '10' }), entry({ revision: '2' })];
    for (const list of [entries, entries.toReversed()])
      expect(selectTemplate(list, { name: 'debian-12', arch: 'x86_64' }).revision).toBe('10');
  });

  it('takes the first source among equal revisions', () => {
    const entries = [entry(), entry({ source: other })];
    expect(selectTemplate(entries, { name: 'debian-12', arch: 'x86_64' }).source.name).toBe('test');
  });

  it('prefers a name to an alias, even of a higher revision', () => {
    const entries = [entry({ name: 'x', aliases: ['debian-12'], revision: '99' }), entry()];
    expect(selectTemplate(entries, { name: 'debian-12', arch: 'x86_64' }).name).toBe('debian-12');
  });

  it('finds by alias, and hidden ones too', () => {
    const entries = [entry({ aliases: ['bookworm', 'stable'], hidden: true })];
    expect(selectTemplate(entries, { name: 'stable', arch: 'amd64' }).name).toBe('debian-12');
  });

  it('takes this machine as the default architecture', () => {
    const entries = ['x86_64', 'aarch64', 's390x'].map((arch) => entry({ arch }));
    expect(selectTemplate(entries, { name: 'debian-12' }).arch).toBe(hostArchitecture());
  });

  it('understands either side in other spellings', () => {
    expect(selectTemplate([entry({ arch: 'arm64' })], { name: 'debian-12', arch: 'aarch64' }).arch).toBe(
      'arm64',
    );
  });

  it('names the architectures there are', () => {
    const entries = [entry({ arch: 'aarch64' }), entry({ arch: 's390x' })];
    expect(() => selectTemplate(entries, { name: 'debian-12', arch: 'x86_64' })).toThrow(
      expect.objectContaining({
        code: 'TSB_NOT_FOUND',
        hint: expect.stringContaining('aarch64, s390x') as string,
      }),
    );
  });

  it('suggests close names, but no hidden ones', () => {
    const entries = [
      entry({ name: 'debian-11' }),
      entry({ name: 'debian-13', hidden: true }),
      entry({ name: 'fedora-40', aliases: ['f40'] }),
    ];
    const hintOf = (name: string): string | undefined => {
      try {
        selectTemplate(entries, { name, arch: 'x86_64' });
      } catch (error) {
        return (error as TsbuilderError).hint;
      }
      return 'found';
    };
    expect(hintOf('debain-11')).toBe('Did you mean debian-11?');
    expect(hintOf('fedora')).toBe('Did you mean fedora-40?');
    expect(hintOf('zzzzz')).toBe('tsbuilder --list shows what there is.');
  });

  it('reports the failed source when the template may be in it', () => {
    const dead = new TsbuilderError('TSB_NETWORK', 'unreachable');
    const bad = new TsbuilderError('TSB_SIGNATURE_BAD', 'tampered');
    const wish = { arch: 'x86_64', failures: [dead, bad] };
    expect(selectTemplate([entry()], { ...wish, name: 'debian-12' }).name).toBe('debian-12');
    expect(() => selectTemplate([entry()], { ...wish, name: 'other' })).toThrow(
      expect.objectContaining({ code: 'TSB_SIGNATURE_BAD' }),
    );
  });

  it('suggests close names beside the failure of a source', () => {
    const dead = new TsbuilderError('TSB_NETWORK', 'unreachable', { hint: 'Check the network.' });
    const choose = (name: string) => () =>
      selectTemplate([entry()], { name, arch: 'x86_64', failures: [dead] });
    const failure = (hint: string) => expect.objectContaining({ code: 'TSB_NETWORK', hint }) as Error;
    expect(choose('debian12')).toThrow(failure('Did you mean debian-12? Check the network.'));
    expect(choose('zzzzz')).toThrow(failure('Check the network.'));
    const elsewhere = () =>
      selectTemplate([entry({ arch: 's390x' })], { name: 'debian-12', arch: 'x86_64', failures: [dead] });
    expect(elsewhere).toThrow(failure('There is one for s390x: choose with --arch. Check the network.'));
  });

  it('does not print control characters of the name', () => {
    expect(() => selectTemplate([], { name: '\u001b[2J', arch: 'x86_64' })).toThrow('\\x1b[2J');
  });
});

describe('bestEntries', () => {
  it('keeps one of each name and architecture, in order', () => {
    const entries = [
      entry({ name: 'a', revision: '1' }),
      entry({ name: 'b' }),
      entry({ name: 'a', revision: '2' }),
      entry({ name: 'a', arch: 'aarch64' }),
      entry({ name: 'a', arch: 'amd64', revision: '2', source: { ...SOURCE, name: 'late' } }),
    ];
    const result = bestEntries(entries).map(({ name, arch, revision, source }) => [
      name,
      arch,
      revision,
      source.name,
    ]);
    expect(result).toEqual([
      ['a', 'x86_64', '2', 'test'],
      ['b', 'x86_64', '1', 'test'],
      ['a', 'aarch64', '1', 'test'],
    ]);
  });
});

describe('closeNames', () => {
  it('gives at most five, closest first', () => {
    const names = ['debian-12', 'debian-11', 'debian-10', 'debian-9', 'debian-8', 'debian-7', 'fedora-40'];
    expect(closeNames('debian', names)).toHaveLength(5);
    expect(closeNames('debian-13', names)[0]).toBe('debian-10');
    expect(closeNames('', names)).toEqual([]);
  });
});
