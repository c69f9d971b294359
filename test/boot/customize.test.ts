import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { debian12Repository } from '../helpers/debian12-repository.js';
import { type Desk, newDesk, resultOf } from '../helpers/e2e.js';
import { type Machine, startMachine } from '../helpers/machine.js';
import { PRIVATE_KEY_FILE } from '../helpers/ssh-keys.js';

const run = promisify(execFile);
const PASSWORD = 'correct Horse: 9';
const HOME = '/usr/lib/tsbuilder-firstboot';

interface Built {
  readonly hostKeys: readonly { readonly type: string; readonly fingerprint: string }[];
}

let desk: Desk;
let built: Built;
let machine: Machine;

/** One boot for all that is looked at here. */
beforeAll(async () => {
  const { dataDir } = await debian12Repository();
  desk = await newDesk();
  writeFileSync(desk.file('secret'), `${PASSWORD}\n`);
  writeFileSync(desk.file('first.sh'), 'echo "first as $(id -un)"\necho x >>/srv/marks\nexit 0\n');
  const operations = [
    ...['--hostname', 'web1.example.com', '--timezone', 'Asia/Tokyo', '--root-password', 'file:secret'],
    ...['--ssh-host-keys', '--ssh-inject', `root:file:${PRIVATE_KEY_FILE}.pub`],
    ...['--user', `web:sudo-nopasswd:key=${PRIVATE_KEY_FILE}.pub`, '--password', 'web:file:secret'],
    ...['--firstboot', 'first.sh', '--firstboot-command', 'echo second; echo y >>/srv/marks'],
    ...['--firstboot-command', 'exit 3', '--write', '/etc/motd:welcome to it\n'],
  ];
  const words = ['debian-12', '-o', 'disk.img', '--json', ...operations];
  built = resultOf(await desk.run(words, { env: { TSBUILDER_DATA_DIR: dataDir } })) as Built;
  machine = await startMachine(desk.file('disk.img'));
  await machine.until(/^web1 login: /m, 600_000);
}, 2_400_000);
afterAll(async () => {
  await machine[Symbol.asyncDispose]();
  await desk[Symbol.asyncDispose]();
});

/** What ssh-keyscan finds; the console asks for a login before the SSH server is there. */
async function scannedKeys(): Promise<string> {
  const words = ['-T', '60', '-t', 'rsa,ecdsa,ed25519', '-p', String(machine.sshPort), '127.0.0.1'];
  for (const begin = Date.now(); ; await new Promise((resolve) => setTimeout(resolve, 1000))) {
    const found = await run('ssh-keyscan', words).catch((error: unknown) => ({ stdout: '', error }));
    if (found.stdout.trim().split('\n').length === 3) return found.stdout;
    if (Date.now() - begin > 240_000) throw new Error(`no SSH server: ${JSON.stringify(found)}`);
  }
}

/** What a shell of the guest says, by SSH with the injected key and nothing but the host keys that the build told of. */
async function ssh(user: string, script: string): Promise<string> {
  const options = [
    ...['-i', PRIVATE_KEY_FILE, '-p', String(machine.sshPort), '-F', 'none'],
    ...['-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes', '-o', 'ConnectTimeout=60'],
    ...['-o', 'StrictHostKeyChecking=yes', '-o', `UserKnownHostsFile=${desk.file('known')}`],
  ];
  return (await run('ssh', [...options, `${user}@127.0.0.1`, script])).stdout;
}

describe('a debian-12 disk made with operations boots, and', () => {
  it('shows the host keys that the build told of', async () => {
    writeFileSync(desk.file('known'), await scannedKeys());
    const listed = (await run('ssh-keygen', ['-l', '-f', desk.file('known')])).stdout.trim().split('\n');
    const shown = listed.map((line) => {
      const [, fingerprint = '', , type = ''] = line.split(' ');
      return `${type.replace(/[()]/g, '').toLowerCase()} ${fingerprint}`;
    });
    expect(shown.sort()).toEqual(
      built.hostKeys.map(({ type, fingerprint }) => `${type} ${fingerprint}`).sort(),
    );
    expect(shown).toHaveLength(3);
  }, 400_000);

  it('lets root in with the injected key, and has its name and time zone', async () => {
    const script =
      'id -un; hostname; hostname -f; readlink -f /etc/localtime; date +%z; timedatectl show -p Timezone';
    expect((await ssh('root', script)).split('\n')).toEqual([
      ...['root', 'web1.example.com', 'web1.example.com', '/usr/share/zoneinfo/Asia/Tokyo', '+0900'],
      ...['Timezone=Asia/Tokyo', ''],
    ]);
  }, 180_000);

  it('has run the first boot scripts in order, each once, and removed them and their service', async () => {
    const script = `until grep -q 'finished$' /var/log/tsbuilder-firstboot.log; do sleep 1; done; sleep 1
      cat /srv/marks; sed 's/^....-..-.. ..:..:.. //' /var/log/tsbuilder-firstboot.log; echo ==; find ${HOME} -type f
      find /etc/systemd -name '*tsbuilder*'; systemctl --failed --no-legend`;
    const [log = '', left] = (await ssh('root', script)).split('==\n');
    expect(log.replaceAll(/-\d+-first/g, '-first').split('\n')).toEqual([
      ...['x', 'y', '0001-first.sh: started', 'first as root', '0001-first.sh: done'],
      ...['0002-command: started', 'second', '0002-command: done'],
      ...[
        '0003-command: started',
        `0003-command: failed with status 3, kept as ${HOME}/scripts/0003-command.failed`,
      ],
      ...['finished', ''],
    ]);
    expect(left).toBe(`${HOME}/scripts/0003-command.failed\n`);
  }, 240_000);

  it('lets the new user in with the key, and into sudo', async () => {
    expect(await ssh('web', 'id -un; sudo -n id -un; pwd; stat -c %U:%a ~ ~/.ssh/authorized_keys')).toBe(
      'web\nroot\n/home/web\nweb:700\nweb:600\n',
    );
  }, 180_000);

  it.each(['root', 'web'])(
    'lets %s in at the console with the password, and not with another',
    async (user) => {
      machine.type('\n');
      for (const password of [`${PASSWORD}x`, PASSWORD]) {
        await machine.until(/^web1 login: /m);
        machine.type(`${user}\n`);
        await machine.until(/Password: /);
        machine.type(`${password}\n`);
        if (password !== PASSWORD) await machine.until(/Login incorrect/);
      }
      expect(await machine.until(/[#$] $/m)).toContain('welcome to it');
      machine.type('echo "I am $(id -un) on $(tty)"\n');
      await machine.until(new RegExp(`^I am ${user} on /dev/ttyS0$`, 'm'));
      machine.type('exit\n');
    },
    240_000,
  );

  it('says nothing of a failure at the console', () => {
    expect(machine.console()).not.toMatch(/\[FAILED\]|emergency mode/);
  });
});
