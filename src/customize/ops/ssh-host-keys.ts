import * as v from 'valibot';
import { TsbuilderError } from '../../errors.js';
import type { Guest } from '../../guest/guest.js';
import { type HostKey, makeHostKeys } from '../accounts/host-keys.js';
import type { FileOperationKind } from '../operation-kind.js';

const FOLDER = '/etc/ssh';
const HOST_KEY_FILE = /^ssh_host_([a-z0-9_]+_)?key(\.pub|-cert\.pub)?$/;
const HOST_NAME = /^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$/;

/** `--ssh-host-keys`: fresh host keys; every other one, of whatever type, and host certificates go. */
export const sshHostKeys: FileOperationKind<true> = {
  name: 'ssh-host-keys',
  summary: "Make new SSH host keys in place of the template's.",
  runs: 'offline',
  schema: v.literal(true),
  parse: () => true,
  describe: () => 'make new SSH host keys',
  async apply(guest, _, context) {
    if (!(await guest.exists(FOLDER))) {
      throw new TsbuilderError(
        'TSB_GUEST',
        `${guest.name} has no ${FOLDER}: there is no OpenSSH server in it`,
        {
          hint: 'Install it first: --install openssh-server.',
          details: { path: FOLDER, reason: 'not-found' },
        },
      );
    }
    const keys = await makeHostKeys(context.random, `root@${await hostName(guest)}`);
    for (const name of await guest.list(FOLDER))
      if (HOST_KEY_FILE.test(name)) await guest.remove(`${FOLDER}/${name}`);
    for (const key of keys) await writeKey(guest, key);
    context.hostKeys(keys.map(({ type, fingerprint }) => ({ type, fingerprint })));
  },
};

async function writeKey(guest: Guest, { type, privateFile, publicLine }: HostKey): Promise<void> {
  const path = `${FOLDER}/ssh_host_${type}_key`;
  await guest.writeFile(path, privateFile, { mode: 0o600, uid: 0, gid: 0 });
  await guest.writeFile(`${path}.pub`, publicLine, { mode: 0o644, uid: 0, gid: 0 });
}

/** What the guest calls itself, for the comment in the keys. */
async function hostName(guest: Guest): Promise<string> {
  const path = '/etc/hostname';
  const isFile = (await guest.exists(path)) && (await guest.stat(path)).type === 'file';
  const name = isFile ? (await guest.readHead(path, 256)).toString('latin1').trim() : '';
  return HOST_NAME.test(name) ? name : 'localhost';
}
