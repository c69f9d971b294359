import { expect, it } from 'vitest';
import { nameCautions } from '../../src/index-repo/name-cautions.js';
import { splitIndex } from '../../src/index-repo/publish-entry.js';

const present = splitIndex(
  '[old]\narch=x86_64\naliases=latest stable\n\n[mine]\narch=x86_64\naliases=latest\n\n[other]\narch=aarch64\naliases=free\n',
);

function cautions(name: string, aliases: string[], arch = 'amd64'): string[] {
  return nameCautions({ name, aliases, arch, format: 'raw', size: 1 }, present);
}

it('tells of an alias that is the name of another template of the architecture', () => {
  expect(cautions('new', ['old'])).toEqual([
    'the alias old is the name of another template here: the alias finds nothing',
  ]);
  expect(cautions('new', ['other', 'free'])).toEqual([]);
});

it('tells of a name that is the alias of another', () => {
  expect(cautions('stable', [])).toEqual([
    'stable is an alias of old here, which is not found by it any more',
  ]);
  expect(cautions('stable', [], 'aarch64')).toEqual([]);
});

it('tells of an alias that another has, but not of its own from before', () => {
  expect(cautions('mine', ['latest'])).toEqual([
    'latest is an alias of old too: it finds the one with the higher revision',
  ]);
  expect(cautions('mine', ['unheard'])).toEqual([]);
});
