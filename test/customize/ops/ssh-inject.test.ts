import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sshInject } from '../../../src/customize/ops/ssh-inject.js';
import { DEBIAN, customized } from '../../helpers/account-guests.js';
import { operation, textOf } from '../../helpers/identity-guests.js';
import { scratchFolder } from '../../helpers/scratch-folder.js';
import { PRIVATE_KEY_FILE, PUBLIC_KEYS } from '../../helpers/ssh-keys.js';

const FILE = '/home/debian/.ssh/authorized_keys';
const inject = (text: string) => operation(sshInject, text);

describe('ssh-inject', () => {
  it("makes the folder and the file the user's alone", async () => {
    const { guest } = await customized(DEBIAN, [inject(`debian:string:${PUBLIC_KEYS.ed25519}`)]);
    await using _ = guest;
    expect(await textOf(guest, FILE)).toBe(PUBLIC_KEYS.ed25519);
    expect(await guest.stat(FILE)).toMatchObject({ mode: 0o600, uid: 1000, gid: 1000 });
    expect(await guest.stat('/home/debian/.ssh')).toMatchObject({ mode: 0o700, uid: 1000, gid: 1000 });
  });

  it('adds several keys of a file to what is there, each once, and ends the last line', async () => {
    await using scratch = await scratchFolder();
    const file = join(scratch.path, 'keys');
    await writeFile(file, `# keys\n${PUBLIC_KEYS.rsa}${PUBLIC_KEYS.ed25519}${PUBLIC_KEYS.ecdsa.trim()}`);
    const old = `# mine\nno-pty ${PUBLIC_KEYS.ed25519.trim()}`;
    const tree = { ...DEBIAN, 'root/.ssh/authorized_keys': { data: old, mode: 0o640 } };
    const { guest } = await customized(tree, [inject(`root:file:${file}`), inject(`root:file:${file}`)]);
    await using _ = guest;
    expect(await textOf(guest, '/root/.ssh/authorized_keys')).toBe(
      `${old}\n${PUBLIC_KEYS.rsa}${PUBLIC_KEYS.ecdsa}`,
    );
    expect(await guest.stat('/root/.ssh/authorized_keys')).toMatchObject({ mode: 0o640 });
  });

  it('follows links inside the guest only', async () => {
    const tree = {
      ...DEBIAN,
      'home/debian/.ssh': { link: '../../../../../srv/keys' },
      'srv/keys/authorized_keys': { link: '/etc/keys' },
    };
    const { guest } = await customized(tree, [inject(`debian:string:${PUBLIC_KEYS.rsa}`)]);
    await using _ = guest;
    expect(await textOf(guest, '/etc/keys')).toBe(PUBLIC_KEYS.rsa);
    expect(await guest.stat('/etc/keys')).toMatchObject({ mode: 0o600, uid: 1000 });
  });

  it.each([
    ['AuthorizedKeysFile .ssh/authorized_keys\n', false],
    ['Port 22\n#AuthorizedKeysFile /etc/keys\n', false],
    ['authorizedkeysfile=none # nobody\n', 'no file'],
    ['AuthorizedKeysFile /etc/ssh/keys/%u\n', '/etc/ssh/keys/%u'],
    ['AuthorizedKeysFile "/etc/my keys" %h/.ssh/authorized_keys\n', false],
    ['AuthorizedKeysFile /home/%u/.ssh/authorized_keys\n', false],
    ['AuthorizedKeysFile .keys\nAuthorizedKeysFile .ssh/authorized_keys\n', '.keys'],
    ['Match User other\nAuthorizedKeysFile .keys\n', false],
    ['Include sshd_config.d/*.conf\nAuthorizedKeysFile .ssh/authorized_keys\n', '/srv/one'],
    ['AuthorizedKeysFile .ssh/authorized_keys\nInclude /etc/ssh/sshd_config.d/*.conf\n', false],
    ['Include /etc/ssh/sshd_config\nInclude /etc/ssh/sshd_config.d/dangling /etc/passwd /etc\n', false],
  ])('warns when sshd with the settings %j reads other files', async (settings, places) => {
    const tree = {
      ...DEBIAN,
      'etc/ssh/sshd_config': settings,
      'etc/ssh/sshd_config.d/10-one.conf': 'AuthorizedKeysFile /srv/one\n',
      'etc/ssh/sshd_config.d/20-two.conf': 'AuthorizedKeysFile .ssh/authorized_keys\n',
      'etc/ssh/sshd_config.d/05-zero.conf': 'Match User root\nAuthorizedKeysFile /srv/zero\n',
      'etc/ssh/sshd_config.d/dangling': { link: '/nowhere' },
    };
    const { guest, warnings } = await customized(tree, [inject(`debian:string:${PUBLIC_KEYS.rsa}`)]);
    await using _ = guest;
    expect(await textOf(guest, FILE)).toBe(PUBLIC_KEYS.rsa);
    expect(warnings).toEqual(
      places === false
        ? []
        : [expect.stringContaining(`does not read ${FILE}, but ${places} (AuthorizedKeysFile`) as unknown],
    );
  });

  it.each([
    ['nobody-here:string:x', 'TSB_GUEST', /no user "nobody-here"/],
    [`homeless:string:${PUBLIC_KEYS.rsa}`, 'TSB_GUEST', /home folder of homeless, "\/nonexistent"/],
    [`debian:file:${PRIVATE_KEY_FILE}`, 'TSB_USAGE', /is a private key/],
    ['debian:string:hello', 'TSB_USAGE', /line 1 is not a public key/],
    ['debian:file:/nonexistent', 'TSB_NOT_FOUND', /no such file/],
    [':file:x', 'TSB_USAGE', /must be USER/],
    ['debian:x', 'TSB_USAGE', /no selector/],
  ])('%j is an error', async (text, code, message) => {
    const failing = Promise.resolve().then(() => customized(DEBIAN, [inject(text)]));
    await expect(failing).rejects.toMatchObject({ code, message: expect.stringMatching(message) as unknown });
  });

  it('stops at what is in the way', async () => {
    const tree = { ...DEBIAN, 'home/debian/.ssh': 'a file' };
    await expect(customized(tree, [inject(`debian:string:${PUBLIC_KEYS.rsa}`)])).rejects.toMatchObject({
      code: 'TSB_GUEST',
    });
  });
});
