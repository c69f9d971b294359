import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './disk.js';
import { freePort, untilListening } from './free-port.js';
import { scratchFolder } from './scratch-folder.js';

/** An SSH server on the loopback, for a user of its own that has the rights of this process. */
export interface SshServer extends AsyncDisposable {
  /** `USER@HOST`. */
  readonly login: string;
  /** The ssh command by which the server is reached and known, as `RSYNC_RSH` takes it. */
  readonly command: string;
  /** The same for somebody who does not know the server. */
  readonly strangersCommand: string;
}

/** Starts dropbear. Debian's OpenSSH server would listen on the machine's own port as soon as it is installed. */
export async function startSshServer(): Promise<SshServer> {
  const folder = await scratchFolder();
  const file = (name: string): string => join(folder.path, name);
  mkdirSync(file('home/.ssh'), { recursive: true, mode: 0o700 });
  run('dropbearkey', ['-t', 'ed25519', '-f', file('host')]);
  run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file('key')]);
  copyFileSync(file('key.pub'), file('home/.ssh/authorized_keys'));
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  writeFileSync(file('passwd'), `tester:x:${uid}:${gid}::${file('home')}:/bin/sh\n`);
  writeFileSync(file('group'), `tester:x:${gid}:\n`);
  const port = await freePort();
  const words = ['-F', '-E', '-s', '-p', `127.0.0.1:${port}`, '-r', file('host'), '-P', file('pid')];
  // It finds its user, and so the keys that may log in, in files of this test.
  const wrapper = { LD_PRELOAD: 'libnss_wrapper.so', NSS_WRAPPER_PASSWD: file('passwd') };
  const server = spawn('dropbear', words, {
    env: { ...process.env, ...wrapper, NSS_WRAPPER_GROUP: file('group') },
    stdio: 'ignore',
  });
  await untilListening(port);
  const ssh = (known: string): string =>
    `ssh -F /dev/null -p ${port} -i ${file('key')} -o BatchMode=yes -o UserKnownHostsFile=${file(known)}`;
  const login = 'tester@127.0.0.1';
  const [program = '', ...options] = ssh('known').split(' ');
  run(program, [...options, '-o', 'StrictHostKeyChecking=accept-new', login, 'true']);
  return {
    login,
    command: ssh('known'),
    strangersCommand: ssh('unknown'),
    async [Symbol.asyncDispose]() {
      const ended = once(server, 'close');
      server.kill();
      await ended;
      await folder[Symbol.asyncDispose]();
    },
  };
}
