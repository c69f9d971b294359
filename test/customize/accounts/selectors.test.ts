import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { parseKeySelector, readKeys } from '../../../src/customize/accounts/key-selector.js';
import { defaultPasswordMethod } from '../../../src/customize/accounts/password-method.js';
import { parsePasswordSelector } from '../../../src/customize/accounts/password-selector.js';
import { parseUserSpec } from '../../../src/customize/accounts/user-spec.js';
import { password } from '../../../src/customize/ops/password.js';
import { rootPassword } from '../../../src/customize/ops/root-password.js';
import { sshInject } from '../../../src/customize/ops/ssh-inject.js';
import { user } from '../../../src/customize/ops/user.js';
import { scratchFolder } from '../../helpers/scratch-folder.js';
import { PUBLIC_KEYS } from '../../helpers/ssh-keys.js';

describe('password selectors', () => {
  it.each([
    ['random', { locked: false, from: 'random' }],
    ['password:a:b', { locked: false, from: 'password', password: 'a:b' }],
    ['password:file:x', { locked: false, from: 'password', password: 'file:x' }],
    ['file:/tmp/a:b', { locked: false, from: 'file', file: '/tmp/a:b' }],
    ['disabled', { locked: false, from: 'disabled' }],
    ['disable', { locked: false, from: 'disabled' }],
    ['locked', { locked: true, from: 'disabled' }],
    ['lock', { locked: true, from: 'disabled' }],
    ['locked:disabled', { locked: true, from: 'disabled' }],
    ['lock:random', { locked: true, from: 'random' }],
    ['locked:password:x', { locked: true, from: 'password', password: 'x' }],
  ])('%s', (text, value) => {
    expect(parsePasswordSelector(text)).toEqual(value);
  });

  it.each([
    '',
    'hunter2',
    'random:',
    'disabled:x',
    'password',
    'password:',
    'file:',
    'locked:',
    'locked:hunter2',
  ])('refuses %j without repeating it', (text) => {
    const parse = (): unknown => parsePasswordSelector(text);
    expect(parse).toThrow(
      expect.objectContaining({ code: 'TSB_USAGE', message: 'that is no password selector' }),
    );
  });

  it('are told without the secret', () => {
    const plan = password.describe(password.parse('debian:locked:password:hunter2'));
    expect(plan).toBe('set the password of debian (as given, locked)');
    expect(rootPassword.describe(rootPassword.parse('file:/root/secret-name'))).toBe(
      'set the password of root (from a file)',
    );
    expect(user.describe(user.parse('alice:sudo:password=password:hunter2'))).toBe(
      'make the user alice (sudo; password as given)',
    );
    expect(password.last).toBe(true);
    expect(rootPassword.last).toBe(true);
  });
});

describe('maps in YAML', () => {
  it.each([
    [password, 'a:locked:file:F', { user: 'a', file: 'F', locked: true }],
    [password, 'a:locked', { user: 'a', locked: true }],
    [rootPassword, 'random', { random: true }],
    [rootPassword, 'password:x', { password: 'x' }],
    [rootPassword, 'disabled', { disabled: true }],
    [sshInject, 'a', { user: 'a' }],
    [sshInject, 'a:file:F', { user: 'a', file: 'F' }],
    [sshInject, 'a:string:S', { user: 'a', string: 'S' }],
    [user, 'a', { name: 'a' }],
    [
      user,
      'a:groups=b,c:sudo-nopasswd:key=F:uid=1500:shell=/bin/zsh:home=/srv/a:comment=A B:password=locked:file:P',
      {
        name: 'a',
        groups: ['b', 'c'],
        sudo: 'nopasswd',
        keys: ['file:F'],
        uid: 1500,
        shell: '/bin/zsh',
        home: '/srv/a',
        comment: 'A B',
        password: 'locked:file:P',
      },
    ],
    [user, 'a:sudo', { name: 'a', sudo: true }],
  ] as const)('of %o are the same as %s', (kind, text, map) => {
    expect(v.parse(kind.schema, map)).toEqual(kind.parse(text));
    expect(v.parse(kind.schema, text)).toEqual(kind.parse(text));
  });

  it.each([
    [password, { user: 'a', password: 'hunter2', random: true }],
    [password, { user: 'a', passwort: 'hunter2' }],
    [password, { user: 'a', password: 424242 }],
    [password, { user: 'a:b', password: 'hunter2' }],
    [rootPassword, { random: false }],
    [rootPassword, 424242],
    [sshInject, { user: 'a', file: 'x', string: 'y' }],
    [sshInject, { file: 'x' }],
    [user, { name: 'A' }],
    [user, { name: 'a', pasword: 'hunter2' }],
    [user, { name: 'a', shell: 'bash' }],
    [user, { name: 'a', comment: 'x:y' }],
    [user, { name: 'a', uid: 0 }],
  ] as const)('of %o refuse %j and show no value', (kind, map) => {
    const result = v.safeParse(kind.schema, map);
    expect(result.success).toBe(false);
    const messages = (result.issues ?? []).map((issue) => issue.message).join('\n');
    expect(messages).not.toBe('');
    expect(messages).not.toMatch(/hunter2|424242/);
  });
});

describe('users', () => {
  it.each([
    'Alice',
    '0day',
    'a b',
    '',
    'a\nb',
    'a:uid=0',
    'a:uid=-1',
    'a:uid=x',
    'a:groups=',
    'a:groups=b,,c',
    'a:groups=b c',
    'a:shell=bash',
    'a:shell=/bin/a\nroot2',
    'a:comment=x\nroot2::0:0',
    'a:home=rel',
    'a:key=',
    'a:key',
    'a:sudo=yes',
    'a:constructor',
    'a:__proto__=x',
    'a:password=hunter2',
    `a${'b'.repeat(32)}`,
  ])('refuse %j', (text) => {
    let message = '';
    try {
      parseUserSpec(text);
    } catch (error) {
      expect(error).toMatchObject({ code: 'TSB_USAGE' });
      message = (error as Error).message;
    }
    expect(message).not.toBe('');
    expect(message).not.toContain('hunter2');
  });

  it('have options in any order, with the password last', () => {
    expect(parseUserSpec('a.b:key=x:key=y:groups=c:groups=d:password=password:p:q=r')).toEqual({
      name: 'a.b',
      groups: ['c', 'd'],
      keys: [
        { from: 'file', file: 'x' },
        { from: 'file', file: 'y' },
      ],
      password: { locked: false, from: 'password', password: 'p:q=r' },
    });
  });
});

describe('keys', () => {
  it('are the newest of the user where nothing is said', async () => {
    await using scratch = await scratchFolder();
    const ssh = join(scratch.path, '.ssh');
    await mkdir(ssh);
    const put = async (name: string, text: string, time: number): Promise<void> => {
      await writeFile(join(ssh, name), text);
      await utimes(join(ssh, name), time, time);
    };
    await put('id_rsa.pub', PUBLIC_KEYS.rsa, 1000);
    await put('id_ed25519.pub', PUBLIC_KEYS.ed25519, 2000);
    await put('id_ed25519-cert.pub', 'no key', 3000);
    await put('other.pub', PUBLIC_KEYS.ecdsa, 4000);
    await put('id_ed25519', 'no key', 5000);
    await mkdir(join(ssh, 'id_folder.pub'));
    const [key] = await readKeys(parseKeySelector(''), { home: scratch.path });
    expect(key?.line).toBe(PUBLIC_KEYS.ed25519.trim());
  });

  it('that are not there are errors', async () => {
    await using scratch = await scratchFolder();
    await expect(readKeys({ from: 'newest' }, { home: scratch.path })).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
    });
    const missing = { from: 'file', file: join(scratch.path, 'missing') } as const;
    await expect(readKeys(missing)).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
    await expect(readKeys({ from: 'file', file: scratch.path })).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
    });
    await expect(readKeys({ from: 'file', file: '/dev/zero' })).rejects.toMatchObject({ code: 'TSB_USAGE' });
  });

  it.each(['x', 'file', 'file:', 'string:', 'FILE:x'])('refuse the selector %j', (text) => {
    expect(() => parseKeySelector(text)).toThrow(expect.objectContaining({ code: 'TSB_USAGE' }));
  });
});

describe('the default hash', () => {
  const distro = (id: string, version: string) =>
    ({ id, version, family: 'other', name: id, codename: '' }) as const;
  it.each([
    ['debian', '11', 'yescrypt'],
    ['debian', '10', 'sha512'],
    ['debian', '', 'sha512'],
    ['debian', '4.0', 'md5'],
    ['ubuntu', '20.04', 'yescrypt'],
    ['ubuntu', '18.04', 'sha512'],
    ['ubuntu', '12.04', 'sha512'],
    ['fedora', '30', 'yescrypt'],
    ['fedora', '29', 'sha512'],
    ['rhel', '9.2', 'yescrypt'],
    ['rhel', '8.9', 'sha512'],
    ['centos', '6.10', 'sha512'],
    ['centos', '5.11', 'md5'],
    ['amzn', '2023', 'yescrypt'],
    ['amzn', '2018.03', 'sha512'],
    ['alpine', '3.18.4', 'sha512'],
    ['arch', '', 'sha512'],
    ['toString', '12', 'sha512'],
  ] as const)('of %s %s is %s', (id, version, method) => {
    expect(defaultPasswordMethod(distro(id, version))).toBe(method);
  });

  it('of an unknown system is sha512', () => {
    expect(defaultPasswordMethod(undefined)).toBe('sha512');
  });
});
