import { execFileSync } from 'node:child_process';
import { describe, expect, it, vi } from 'vitest';
import { passwordField } from '../../src/customize/accounts/password-field.js';
import { cryptPassword } from '../../src/io/crypt.js';
import { tellingContext } from '../helpers/account-guests.js';

vi.mock('../../src/io/native.js', async (original) => ({
  ...(await original<typeof import('../../src/io/native.js')>()),
  loadNativeLibrary: () => undefined,
}));

const SALT = Buffer.alloc(22, 9);
const DEBIAN = { id: 'debian', family: 'debian', name: 'Debian 12', version: '12', codename: '' } as const;
const OS = {
  type: 'linux',
  distro: DEBIAN,
  arch: 'x86_64',
  init: 'systemd',
  packageManager: 'apt',
  fstab: [],
  selinux: undefined,
} as const;
const secret = { locked: false, from: 'password', password: 'secret' } as const;

function openssl(option: string, hash: string): string {
  const salt = hash.split('$')[2]!;
  return execFileSync('openssl', ['passwd', option, '-salt', salt, '-stdin'], {
    input: 'secret\n',
    encoding: 'utf8',
  }).trim();
}

describe('where there is no libcrypt', () => {
  it('SHA hashes are made all the same', async () => {
    const sha512 = await cryptPassword(Buffer.from('secret'), 'sha512', SALT);
    expect(sha512).toBe(openssl('-6', sha512));
    const sha256 = await cryptPassword(Buffer.from('secret'), 'sha256', SALT);
    expect(sha256).toBe(openssl('-5', sha256));
  });

  it.each(['yescrypt', 'md5'] as const)('%s names the package', async (method) => {
    await expect(cryptPassword(Buffer.from('secret'), method, SALT)).rejects.toMatchObject({
      code: 'TSB_TOOL_MISSING',
      hint: expect.stringContaining('libcrypt1') as unknown,
    });
  });

  it('a guest with yescrypt gets sha512, unless yescrypt was asked for', async () => {
    const context = tellingContext();
    const hash = await passwordField('root', secret, { os: OS, context });
    expect(hash).toBe(openssl('-6', hash));
    expect(context.warnings).toEqual([expect.stringContaining('sha512')]);
    const asked = tellingContext({ passwordCrypto: 'yescrypt' });
    await expect(passwordField('root', secret, { os: OS, context: asked })).rejects.toMatchObject({
      code: 'TSB_TOOL_MISSING',
    });
  });
});
