import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { randomPassword } from '../../../src/customize/accounts/password-field.js';
import { password } from '../../../src/customize/ops/password.js';
import { rootPassword } from '../../../src/customize/ops/root-password.js';
import type { Guest } from '../../../src/guest/guest.js';
import { seededRandom, systemRandom } from '../../../src/io/random.js';
import { DEBIAN, PASSWD, SHADOW, customized } from '../../helpers/account-guests.js';
import { GUEST_TREES } from '../../helpers/guest-trees.js';
import { operation } from '../../helpers/identity-guests.js';
import { scratchFolder } from '../../helpers/scratch-folder.js';

const DAY = Math.floor(1_700_000_000 / 86400);
const SHADOW_GID = ['sif /etc/shadow gid 42', 'sif /etc/shadow uid 0'];

/** The fields of the line for a user in a guest's file. */
async function fieldsOf(guest: Guest, path: string, user: string): Promise<string[]> {
  const text = (await guest.readFile(path)).toString('latin1');
  return (
    text
      .split('\n')
      .map((line) => line.split(':'))
      .find(([name]) => name === user) ?? []
  );
}

/** Whether `hash` is a hash of `word`, in the opinion of the system's crypt(3) called from Python. */
function logsIn(word: string, hash: string): boolean {
  const script = 'import crypt, sys; print(crypt.crypt(sys.argv[1], sys.argv[2]) == sys.argv[2])';
  const said = execFileSync('python3', ['-W', 'ignore', '-c', script, word, hash], { encoding: 'utf8' });
  return said.trim() === 'True';
}

describe('password', () => {
  it("sets a user's hash and date and keeps everything else: other lines, mode, owner", async () => {
    const { guest } = await customized(DEBIAN, [operation(password, 'debian:password:pass:wörd')], {
      setUp: SHADOW_GID,
    });
    await using _ = guest;
    const [, hash = '', ...rest] = await fieldsOf(guest, '/etc/shadow', 'debian');
    expect(hash).toMatch(/^\$y\$j9T\$/);
    expect(logsIn('pass:wörd', hash)).toBe(true);
    expect(rest).toEqual([String(DAY), '0', '99999', '7', '', '', '']);
    expect(await guest.stat('/etc/shadow')).toMatchObject({ mode: 0o640, uid: 0, gid: 42 });
    const text = (await guest.readFile('/etc/shadow')).toString();
    expect(text.replace(/^debian:.*$/m, '')).toBe(SHADOW.replace(/^debian:.*$/m, ''));
    expect((await guest.readFile('/etc/passwd')).toString()).toBe(PASSWD);
  });

  it('takes the first line of a file', async () => {
    await using scratch = await scratchFolder();
    const file = join(scratch.path, 'a:b');
    await writeFile(file, ' first line \r\nsecond\n');
    const { guest } = await customized(DEBIAN, [operation(rootPassword, `file:${file}`)]);
    await using _ = guest;
    const [, hash = ''] = await fieldsOf(guest, '/etc/shadow', 'root');
    expect(logsIn(' first line ', hash)).toBe(true);
  });

  it.each([
    ['disabled', /^\*$/],
    ['locked', /^!!\*$/],
    ['locked:disabled', /^!!\*$/],
  ] as const)('%s makes %o', async (selector, field) => {
    const { guest, secrets } = await customized(DEBIAN, [operation(rootPassword, selector)]);
    await using _ = guest;
    expect((await fieldsOf(guest, '/etc/shadow', 'root'))[1]).toMatch(field);
    expect(secrets).toEqual([]);
  });

  it('locks an account so that passwd -u gives its password back', async () => {
    const { guest } = await customized(DEBIAN, [operation(rootPassword, 'locked:password:secret')]);
    await using _ = guest;
    const [, field = ''] = await fieldsOf(guest, '/etc/shadow', 'root');
    expect(field.startsWith('!$')).toBe(true);
    expect(logsIn('secret', field.slice(1))).toBe(true);
  });

  it('hands over a random password once, the same for the same seed', async () => {
    const { guest, secrets, warnings } = await customized(DEBIAN, [operation(rootPassword, 'random')]);
    await using _ = guest;
    const [[label, word]] = secrets as [[string, string]];
    expect([secrets.length, label, warnings]).toEqual([1, 'password of root', []]);
    expect(word).toMatch(/^[A-HJ-NP-Za-km-np-z2-9]{16}$/);
    expect(logsIn(word, (await fieldsOf(guest, '/etc/shadow', 'root'))[1]!)).toBe(true);
    const again = await customized(DEBIAN, [operation(rootPassword, 'random')]);
    await using other = again.guest;
    expect(again.secrets).toEqual(secrets);
    expect(await other.readFile('/etc/shadow')).toEqual(await guest.readFile('/etc/shadow'));
  });

  it.each([
    ['sha512', /^\$6\$/],
    ['sha256', /^\$5\$/],
    ['md5', /^\$1\$/],
    ['yescrypt', /^\$y\$/],
  ] as const)('hashes with %s when asked', async (passwordCrypto, prefix) => {
    const { guest, warnings } = await customized(DEBIAN, [operation(rootPassword, 'password:secret')], {
      passwordCrypto,
    });
    await using _ = guest;
    const [, hash = ''] = await fieldsOf(guest, '/etc/shadow', 'root');
    expect(hash).toMatch(prefix);
    expect(logsIn('secret', hash)).toBe(true);
    expect(warnings).toEqual([]);
  });

  it.each([
    ['ALPINE', /^\$6\$/],
    ['CIRROS', /^\$6\$/],
    ['UBUNTU_1204', /^\$6\$/],
    ['CENTOS_6', /^\$6\$/],
    ['FEDORA', /^\$y\$/],
  ] as const)('hashes for %s as it understands it', async (name, prefix) => {
    const tree = { ...GUEST_TREES[name], 'etc/passwd': PASSWD, 'etc/shadow': SHADOW };
    const { guest } = await customized(tree, [operation(rootPassword, 'password:secret')]);
    await using _ = guest;
    expect((await fieldsOf(guest, '/etc/shadow', 'root'))[1]).toMatch(prefix);
  });

  it('warns that an old guest gets md5', async () => {
    const tree = { ...DEBIAN, 'usr/lib/os-release': 'ID=debian\nVERSION_ID="4"\nPRETTY_NAME="Debian 4"\n' };
    const { guest, warnings } = await customized(tree, [operation(rootPassword, 'password:secret')]);
    await using _ = guest;
    expect((await fieldsOf(guest, '/etc/shadow', 'root'))[1]).toMatch(/^\$1\$/);
    expect(warnings).toEqual([expect.stringMatching(/md5.*Debian 4/)]);
  });

  it('writes into passwd where there is no shadow file, and says so', async () => {
    const tree = Object.fromEntries(Object.entries(DEBIAN).filter(([path]) => path !== 'etc/shadow'));
    const { guest, warnings } = await customized(tree, [operation(password, 'debian:password:secret')]);
    await using _ = guest;
    const [, hash = '', ...rest] = await fieldsOf(guest, '/etc/passwd', 'debian');
    expect(logsIn('secret', hash)).toBe(true);
    expect(rest).toEqual(['1000', '1000', 'Debian,,,', '/home/debian', '/bin/bash']);
    expect(warnings).toEqual([expect.stringContaining('/etc/shadow')]);
    expect(await guest.exists('/etc/shadow')).toBe(false);
  });

  it('gives a user without a shadow line one, and points an empty passwd field there', async () => {
    const tree = { ...DEBIAN, 'etc/passwd': PASSWD.replace('debian:x:', 'debian::') };
    const { guest } = await customized(tree, [
      operation(password, 'homeless:disabled'),
      operation(password, 'debian:password:secret'),
    ]);
    await using _ = guest;
    expect(await fieldsOf(guest, '/etc/shadow', 'homeless')).toEqual([
      'homeless',
      '*',
      String(DAY),
      '',
      '',
      '',
      '',
      '',
      '',
    ]);
    expect((await guest.readFile('/etc/passwd')).toString()).toBe(PASSWD);
  });

  it.each([
    ['password', 'nobody-here:random', 'TSB_GUEST', /no user "nobody-here"/],
    ['password', 'odd line:random', 'TSB_USAGE', /USER:SELECTOR/],
    ['root-password', 'file:/nonexistent/file', 'TSB_NOT_FOUND', /\/nonexistent\/file: no such file/],
    ['root-password', 'file:/dev/null', 'TSB_USAGE', /password for root is empty/],
    ['root-password', `password:${'x'.repeat(512)}`, 'TSB_USAGE', /longer than 511 bytes/],
    ['root-password', 'password:a\nb', 'TSB_USAGE', /more than one line/],
  ] as const)('%s %j is an error', async (kind, text, code, message) => {
    const failing = Promise.resolve().then(() =>
      customized(DEBIAN, [kind === 'password' ? operation(password, text) : operation(rootPassword, text)]),
    );
    await expect(failing).rejects.toMatchObject({ code, message: expect.stringMatching(message) as unknown });
  });

  it('needs a passwd file', async () => {
    await expect(
      customized(GUEST_TREES.DEBIAN_12, [operation(rootPassword, 'random')]),
    ).rejects.toMatchObject({
      code: 'TSB_GUEST',
      message: expect.stringContaining('no /etc/passwd') as unknown,
    });
  });
});

describe('random passwords', () => {
  it('have every letter about as often as any other', () => {
    const counts = new Map<string, number>();
    for (let round = 0; round < 2000; round += 1)
      for (const letter of randomPassword(seededRandom(String(round)), 'x'))
        counts.set(letter, (counts.get(letter) ?? 0) + 1);
    expect(counts.size).toBe(56);
    // 571 expected; the standard deviation is 24.
    for (const count of counts.values()) expect(Math.abs(count - 571)).toBeLessThan(150);
    expect(randomPassword(systemRandom(), 'x')).not.toBe(randomPassword(systemRandom(), 'x'));
  });
});
