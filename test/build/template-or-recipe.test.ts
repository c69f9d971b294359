import { describe, expect, it } from 'vitest';
import { templateOrRecipe } from '../../src/build/template-or-recipe.js';
import { TsbuilderError } from '../../src/errors.js';
import { silentProgress } from '../../src/progress.js';

/** What is said of a template that no source serves, when it must not be made. */
async function mention(name: string, arch = 'x86_64'): Promise<TsbuilderError> {
  const error: unknown = await templateOrRecipe(
    () => Promise.reject(new TsbuilderError('TSB_NOT_FOUND', 'no source has it')),
    {
      ...{ name, arch, recipes: 'mention', jobs: 1, progress: silentProgress },
      fits: () => true,
      signal: new AbortController().signal,
    },
  ).catch((reason: unknown) => reason);
  if (!(error instanceof TsbuilderError)) throw new Error('no error', { cause: error });
  return error;
}

describe('templateOrRecipe', () => {
  it.each([
    ['debian-12', 'debian-12'],
    ['bookworm', 'debian-12'],
    ['trixie-lvm', 'debian-13 --layout lvm'],
    ['tiny-mbr-swap-last', 'tiny --layout mbr-swap-last'],
  ])('knows the recipe for %s', async (name, command) => {
    const { code, hint } = await mention(name);
    expect(code).toBe('TSB_NOT_FOUND');
    expect(hint).toBe(`Make it now, for this and later builds: tsbuilder template build ${command}`);
  });

  it('does not take a recipe for another machine, or in a layout that it does not have', async () => {
    expect((await mention('tiny', 'aarch64')).message).toBe('no source has it');
    expect((await mention('debian-12-zfs')).message).toBe('no source has it');
  });
});
