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
