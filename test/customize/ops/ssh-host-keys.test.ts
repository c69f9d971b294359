import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sshHostKeys } from '../../../src/customize/ops/ssh-host-keys.js';
import { systemRandom } from '../../../src/io/random.js';
import { DEBIAN, customized } from '../../helpers/account-guests.js';
import { debugfs, run, scratchPath } from '../../helpers/guest-image.js';
import { operation, textOf } from '../../helpers/identity-guests.js';

const TYPES = ['ecdsa', 'ed25519', 'rsa'];
const TREE = {
  ...DEBIAN,
  'etc/hostname': 'web1.example.com\n',
  'etc/ssh/sshd_config': 'Port 22\n',
  'etc/ssh/ssh_host_rsa_key': { data: 'old', mode: 0o644 },
  'etc/ssh/ssh_host_dsa_key': 'old',
  'etc/ssh/ssh_host_dsa_key.pub': 'old',
  'etc/ssh/ssh_host_key': 'old',
  'etc/ssh/ssh_host_ed25519_key': { link: '/etc/elsewhere' },
  'etc/ssh/ssh_host_ed25519_key-cert.pub': 'old',
  'etc/elsewhere': 'kept',
};

describe('ssh-host-keys', () => {
  it('puts new pairs in place of all others', async () => {
    const { guest, path, fingerprints } = await customized(TREE, [operation(sshHostKeys, '')], {
      random: systemRandom(),
    });
    await using _ = guest;
    const pairs = TYPES.flatMap((type) => [`ssh_host_${type}_key`, `ssh_host_${type}_key.pub`]);
    expect(await guest.list('/etc/ssh')).toEqual([...pairs, 'sshd_config']);
    expect(await textOf(guest, '/etc/elsewhere')).toBe('kept');
    for (const type of TYPES) {
      const inGuest = `/etc/ssh/ssh_host_${type}_key`;
      expect(await guest.lstat(inGuest)).toMatchObject({ type: 'file', mode: 0o600, uid: 0, gid: 0 });
      expect(await guest.lstat(`${inGuest}.pub`)).toMatchObject({ type: 'file', mode: 0o644, uid: 0 });
      const copy = scratchPath(type);
      writeFileSync(copy, debugfs(path, `cat ${inGuest}`), { mode: 0o600 });
      const line = (await textOf(guest, `${inGuest}.pub`)) ?? '';
      const derived = run('ssh-keygen', ['-y', '-P', '', '-f', copy]);
      expect(derived.split(' ').slice(0, 2).join(' ').trim()).toBe(line.split(' ').slice(0, 2).join(' '));
      expect(line).toMatch(/ root@web1\.example\.com\n$/);
      const [, fingerprint] = run('ssh-keygen', ['-l', '-f', copy]).split(' ');
      expect(fingerprints).toContainEqual({ type, fingerprint });
    }
  });

  it('makes the same disk from the same seed', async () => {
    const one = await customized(TREE, [operation(sshHostKeys, '')]);
    await using guest = one.guest;
    const two = await customized(TREE, [operation(sshHostKeys, '')]);
    await using other = two.guest;
    expect(await guest.exists('/etc/ssh/ssh_host_rsa_key')).toBe(false);
    for (const type of ['ecdsa', 'ed25519']) {
      const path = `/etc/ssh/ssh_host_${type}_key`;
      expect(await other.readFile(path)).toEqual(await guest.readFile(path));
    }
  });

  it('takes no odd host name into a comment', async () => {
    const tree = { ...TREE, 'etc/hostname': 'a b\nssh-rsa AAAA evil\n' };
    const { guest } = await customized(tree, [operation(sshHostKeys, '')]);
    await using _ = guest;
    expect(await textOf(guest, '/etc/ssh/ssh_host_ecdsa_key.pub')).toMatch(/ root@localhost\n$/);
  });

  it('needs an OpenSSH server', async () => {
    await expect(customized(DEBIAN, [operation(sshHostKeys, '')])).rejects.toMatchObject({
      code: 'TSB_GUEST',
      hint: expect.stringContaining('openssh-server') as unknown,
    });
  });
});
