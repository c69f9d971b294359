import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { guestfishEnvironments, isLaunchFailure, openGuestfishFolder } from '../../src/io/guestfish.js';

afterEach(() => vi.unstubAllEnvs());

describe("guestfish's folder", () => {
  it.each([
    ['/tmp', '/tmp'],
    ['/var/tmp', '/var/tmp'],
    ['/tmp/with,comma', '/tmp'],
    [`/tmp/${'long'.repeat(30)}`, '/tmp'],
  ])('for %s is in %s and gone in the end', async (wanted, used) => {
    vi.stubEnv('TMPDIR', wanted);
    let path: string;
    {
      await using folder = await openGuestfishFolder();
      path = folder.path;
      expect(dirname(path)).toBe(used);
      expect(existsSync(path)).toBe(true);
    }
    expect(existsSync(path)).toBe(false);
  });
});

describe("guestfish's environment", () => {
  it('is what the user has set', async () => {
    vi.stubEnv('LIBGUESTFS_BACKEND', 'libvirt');
    vi.stubEnv('LIBGUESTFS_BACKEND_SETTINGS', 'some=thing');
    expect(await guestfishEnvironments('/f')).toEqual([
      {
        LIBGUESTFS_BACKEND: 'libvirt',
        LIBGUESTFS_BACKEND_SETTINGS: 'some=thing',
        LIBGUESTFS_TMPDIR: '/f',
        XDG_RUNTIME_DIR: '/f',
      },
    ]);
  });

  it('ends with an emulated processor otherwise', async () => {
    vi.stubEnv('LIBGUESTFS_BACKEND', undefined);
    vi.stubEnv('LIBGUESTFS_BACKEND_SETTINGS', undefined);
    expect((await guestfishEnvironments('/f')).at(-1)).toMatchObject({
      LIBGUESTFS_BACKEND: 'direct',
      LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg',
    });
  });

  it('is told apart from other failures', () => {
    expect(isLaunchFailure('libguestfs: error: guestfs_launch failed.')).toBe(true);
    expect(isLaunchFailure('libguestfs: error: mount: wrong fs type')).toBe(false);
  });
});
