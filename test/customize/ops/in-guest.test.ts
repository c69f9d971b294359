import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import type { SystemOperationKind } from '../../../src/customize/operation-kind.js';
import { injectBlnsvr, injectQemuGa, injectVirtioWin } from '../../../src/customize/ops/inject.js';
import { install } from '../../../src/customize/ops/install.js';
import { runCommand } from '../../../src/customize/ops/run-command.js';
import { run } from '../../../src/customize/ops/run.js';
import { uninstall } from '../../../src/customize/ops/uninstall.js';
import { update } from '../../../src/customize/ops/update.js';
import type { GuestFiles } from '../../../src/guest/guest.js';
import type { PackageManager } from '../../../src/guest/inspect.js';
import { scratchFolder } from '../../helpers/scratch-folder.js';

function scriptOf<V>(
  kind: SystemOperationKind<V>,
  value: V,
  packageManager?: PackageManager,
): Promise<string> {
  const facts = {
    type: 'linux',
    init: 'systemd',
    arch: 'x86_64',
    distro: undefined,
    selinux: undefined,
  } as const;
  return kind.script(value, { os: { ...facts, fstab: [], packageManager }, files: {} as GuestFiles });
}

/** Runs a script with programs that only say how they were called; the one called `broken` fails. */
async function calls(script: string, broken = ''): Promise<{ lines: string[]; status: number | null }> {
  await using folder = await scratchFolder();
  for (const name of ['apt-get', 'dnf', 'yum', 'zypper', 'pacman', 'apk', 'emerge']) {
    const text = `#!/bin/sh\necho "$0 $*" | sed 's,.*/,,'\necho "$*" | grep -q "${broken || 'nothing-at-all'}" && exit 7\nexit 0\n`;
    writeFileSync(join(folder.path, name), text, { mode: 0o755 });
  }
  const file = join(folder.path, 'script');
  writeFileSync(file, script);
  const result = spawnSync('sh', [file], { env: { PATH: `${folder.path}:/usr/bin:/bin` }, encoding: 'utf8' });
  expect(result.stderr).toBe('');
  return { lines: result.stdout.trim().split('\n'), status: result.status };
}

const APT = 'apt-get -q -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold';

describe('package operations', () => {
  it.each<[PackageManager, string[], string[], string[]]>([
    [
      'apt',
      [`${APT} update`, `${APT} install a g++`],
      [`${APT} remove a g++`],
      [`${APT} update`, `${APT} upgrade`],
    ],
    ['dnf', ['dnf -y install a g++'], ['dnf -y remove a g++'], ['dnf -y upgrade']],
    ['yum', ['yum -y install a g++'], ['yum -y remove a g++'], ['yum -y update']],
    [
      'zypper',
      ['zypper --non-interactive install --auto-agree-with-licenses a g++'],
      ['zypper --non-interactive remove a g++'],
      ['zypper --non-interactive update --auto-agree-with-licenses'],
    ],
    [
      'pacman',
      ['pacman -Sy --noconfirm --needed a g++'],
      ['pacman -R --noconfirm a g++'],
      ['pacman -Syu --noconfirm'],
    ],
    ['apk', ['apk update', 'apk add a g++'], ['apk del a g++'], ['apk update', 'apk upgrade']],
    [
      'emerge',
      ['emerge --ask=n --noreplace a g++'],
      ['emerge --ask=n --depclean a g++'],
      ['emerge --ask=n --sync', 'emerge --ask=n --update --deep --newuse @world'],
    ],
  ])('call %s', async (manager, installs, removes, updates) => {
    const packages = ['a', 'g++'];
    expect((await calls(await scriptOf(install, packages, manager))).lines).toEqual(installs);
    expect((await calls(await scriptOf(uninstall, packages, manager))).lines).toEqual(removes);
    expect((await calls(await scriptOf(update, true, manager))).lines).toEqual(updates);
  });

  it('end with the first command that fails', async () => {
    const { lines, status } = await calls(await scriptOf(install, ['a'], 'apt'), 'update');
    expect([lines.length, status]).toEqual([1, 7]);
  });

  it('need a package manager', async () => {
    for (const script of [scriptOf(install, ['a']), scriptOf(uninstall, ['a']), scriptOf(update, true)])
      await expect(script).rejects.toMatchObject({ code: 'TSB_GUEST' });
  });

  it('read names and nothing else', () => {
    expect(install.parse('curl, git')).toEqual(['curl', 'git']);
    expect(install.parse('linux-image:amd64,a=1.0-2~bpo+1,@core,b/stable')).toHaveLength(4);
    expect(v.parse(uninstall.schema, 'a,b')).toEqual(['a', 'b']);
    expect(v.parse(uninstall.schema, ['a', 'b'])).toEqual(['a', 'b']);
    for (const text of [
      '',
      'a,',
      '-y',
      'a,--purge',
      'a-',
      'a;b',
      'a$(id)',
      'a`id`',
      "a'b",
      'a"b',
      'a|b',
      'a&b',
      'a\nb',
      'a\0',
    ]) {
      expect(() => install.parse(text)).toThrow(/^--install /);
      expect(v.safeParse(install.schema, [text]).success).toBe(false);
    }
    expect(v.safeParse(install.schema, []).success).toBe(false);
  });

  it('say what they do', () => {
    expect(install.describe(['a', 'b'])).toBe('install a, b');
    expect(uninstall.describe(['a'])).toBe('uninstall a');
    expect(update.describe(true)).toBe('update the installed packages');
    expect(update.parse('')).toBe(true);
  });
});

describe('run', () => {
  it.each([
    [
      'a shell script',
      '#!/bin/bash\nshopt -q extglob; echo "bash: $0" | sed s,/.*/,,; exit 5\n',
      'bash: program',
      5,
    ],
    ['text without an interpreter', 'echo plain\n', 'plain', 0],
    ['a script with everything in it', "#!/bin/sh\nprintf '%s\\n' 'a\\n%b' \"$((1+1))\"\n", 'a\\n%b\n2', 0],
  ])('runs %s as it is', async (_, program, output, status) => {
    await using folder = await scratchFolder();
    const file = join(folder.path, "it's a script");
    writeFileSync(file, program);
    const result = await calls(await scriptOf(run, run.parse(file)));
    expect([result.lines.join('\n'), result.status]).toEqual([output, status]);
  });

  it('runs a program that is no text', async () => {
    const result = await calls(await scriptOf(run, '/bin/true'));
    expect(result.status).toBe(0);
  });

  it('names the file that is not there', async () => {
    await expect(scriptOf(run, '/nowhere/script')).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      message: '/nowhere/script: no such file',
    });
    expect(() => run.parse('')).toThrow(/--run/);
    expect(run.describe('/x')).toBe('run /x');
  });
});

describe('run-command', () => {
  it('is a line of shell, not shown in descriptions', async () => {
    const command = `echo "a  b" 'c'; exit 3`;
    const result = await calls(await scriptOf(runCommand, runCommand.parse(command)));
    expect(result).toEqual({ lines: ['a  b c'], status: 3 });
    expect(runCommand.describe('echo secret')).toBe('run a command of 11 characters');
    expect(() => runCommand.parse('')).toThrow(/the command is missing/);
    expect(() => runCommand.parse('a\0b')).toThrow(/NUL/);
  });
});

describe('injecting into Windows systems', () => {
  it.each([injectBlnsvr, injectQemuGa, injectVirtioWin])('is refused at once: $name', async (kind) => {
    expect(() => kind.parse('x.iso')).toThrow(
      expect.objectContaining({
        code: 'TSB_USAGE',
        message: `--${kind.name} changes Windows systems, which tsbuilder does not`,
        hint: expect.stringContaining('virt-customize 1.50') as string,
      }),
    );
    expect(v.safeParse(kind.schema, 'x.iso').issues?.[0].message).toMatch(/virtio-win ISO image/);
    await expect(kind.script('', { os: {} as never, files: {} as never })).rejects.toMatchObject({
      code: 'TSB_USAGE',
    });
    expect(kind.describe('')).toContain('not supported');
  });
});
