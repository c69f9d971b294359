import { afterEach, describe, expect, it, vi } from 'vitest';
import { loadXzEngine } from '../../src/xz/engine.js';
import { isAcceptedVersion } from '../../src/xz/liblzma.js';

afterEach(() => vi.unstubAllEnvs());

describe('loadXzEngine', () => {
  it('takes a liblzma with the fast decoder unless told otherwise', async () => {
    vi.stubEnv('TSBUILDER_XZ', undefined);
    expect((await loadXzEngine()).name).toMatch(/^liblzma (5\.[89]|5\.\d\d|[6-9])\S* \(/);
    vi.stubEnv('TSBUILDER_LIBLZMA', 'liblzma.so.5');
    expect((await loadXzEngine()).name).toContain('(liblzma.so.5)');
    vi.stubEnv('TSBUILDER_LIBLZMA', undefined);
    vi.stubEnv('TSBUILDER_XZ', 'lzma-native');
    expect((await loadXzEngine()).name).toContain('lzma-native');
  });

  it('refuses a library that is named and cannot be used', async () => {
    for (const path of ['/nowhere/liblzma.so.5', 'libm.so.6', 'libz.so.1']) {
      vi.stubEnv('TSBUILDER_LIBLZMA', path);
      await expect(loadXzEngine(), path).rejects.toMatchObject({ code: 'TSB_TOOL_MISSING' });
    }
  });

  it('refuses a name that is none', async () => {
    vi.stubEnv('TSBUILDER_XZ', 'pixz');
    await expect(loadXzEngine()).rejects.toMatchObject({ code: 'TSB_USAGE' });
  });
});

describe('isAcceptedVersion', () => {
  it('takes 5.2.0 and newer, but not the releases with a back door', () => {
    const version = (minor: number, patch: number): number => 50_000_002 + minor * 10_000 + patch * 10;
    expect([version(2, 0), version(4, 1), version(6, 2), version(8, 1)].every(isAcceptedVersion)).toBe(true);
    expect([version(0, 8), version(6, 0), version(6, 1)].some(isAcceptedVersion)).toBe(false);
  });
});
