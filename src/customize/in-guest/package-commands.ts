import type { PackageManager } from '../../guest/inspect.js';
import { shellWord } from './shell-word.js';

/** What can be done with packages. */
export type PackageTask = 'install' | 'uninstall' | 'update';

/** Settings that the user or an operation has made in a file of a package stay; everything else is not asked. */
const APT = 'apt-get -q -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold';

const APT_BEGIN = ['export DEBIAN_FRONTEND=noninteractive APT_LISTCHANGES_FRONTEND=none', `${APT} update`];

/** Shell commands by package manager and task; the packages follow the last one. */
const COMMANDS: Readonly<Record<PackageManager, Readonly<Record<PackageTask, readonly string[]>>>> = {
  apt: {
    install: [...APT_BEGIN, `${APT} install`],
    uninstall: [...APT_BEGIN.slice(0, 1), `${APT} remove`],
    update: [...APT_BEGIN, `${APT} upgrade`],
  },
  dnf: { install: ['dnf -y install'], uninstall: ['dnf -y remove'], update: ['dnf -y upgrade'] },
  yum: { install: ['yum -y install'], uninstall: ['yum -y remove'], update: ['yum -y update'] },
  zypper: {
    install: ['zypper --non-interactive install --auto-agree-with-licenses'],
    uninstall: ['zypper --non-interactive remove'],
    update: ['zypper --non-interactive update --auto-agree-with-licenses'],
  },
  pacman: {
    install: ['pacman -Sy --noconfirm --needed'],
    uninstall: ['pacman -R --noconfirm'],
    update: ['pacman -Syu --noconfirm'],
  },
  apk: {
    install: ['apk update', 'apk add'],
    uninstall: ['apk del'],
    update: ['apk update', 'apk upgrade'],
  },
  emerge: {
    install: ['emerge --ask=n --noreplace'],
    uninstall: ['emerge --ask=n --depclean'],
    update: ['emerge --ask=n --sync', 'emerge --ask=n --update --deep --newuse @world'],
  },
};

/** The shell script that does the task; its status is that of the first command that fails. */
export function packageScript(
  manager: PackageManager,
  task: PackageTask,
  packages: readonly string[] = [],
): string {
  const commands = COMMANDS[manager][task].join('\n');
  return `set -e\n${[commands, ...packages.map(shellWord)].join(' ')}\n`;
}
