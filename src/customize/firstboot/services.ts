import { TsbuilderError } from '../../errors.js';
import type { Guest } from '../../guest/guest.js';
import { editText } from '../identity/edit-text.js';
import { RC_LOCALS, RUNNER, RUN_COMMAND, SERVICE } from './runner.js';
import { addSystemdService } from './systemd-service.js';

/** When the runner is to be started. */
export interface ServiceNeeds {
  /** Wait for the network, where the guest's init can. */
  readonly network: boolean;
}

/**
 * Lets the guest's init start the runner late at every boot; the runner undoes it in the end. Doing it again changes
 * nothing.
 *
 * @throws TSB_GUEST when the init system is not known or has no place for it
 */
export async function addFirstbootService(guest: Guest, needs: ServiceNeeds): Promise<void> {
  switch (guest.os.init) {
    case 'systemd':
      await addSystemdService(guest, needs);
      break;
    case 'upstart':
      await addUpstartJob(guest);
      break;
    case 'openrc':
      await addOpenrcService(guest);
      break;
    case 'sysv':
      await addToRcLocal(guest);
      break;
    case 'busybox':
      await addBusyboxScript(guest);
      break;
    case 'unknown':
      throw noPlace(guest, 'its init system is not known');
  }
}

async function addUpstartJob(guest: Guest): Promise<void> {
  await guest.mkdir('/etc/init', { parents: true });
  await guest.writeFile(
    `/etc/init/${SERVICE}.conf`,
    [
      'description "First boot scripts of tsbuilder"',
      'start on stopped rc RUNLEVEL=[2345]',
      'task',
      'console output',
      `exec ${RUN_COMMAND}`,
      '',
    ].join('\n'),
  );
}

async function addOpenrcService(guest: Guest): Promise<void> {
  // OpenRC's shell was called runscript before 2014.
  const shell = (await guest.exists('/sbin/openrc-run')) ? '/sbin/openrc-run' : '/sbin/runscript';
  if (!(await guest.exists(shell))) throw noPlace(guest, `it has no ${shell}`);
  const lines = [
    `#!${shell}`,
    'description="First boot scripts of tsbuilder"',
    '',
    'depend() {',
    '    after *',
    '    keyword -timeout',
    '}',
    '',
    'start() {',
    '    ebegin "Running first boot scripts"',
    `    ${RUN_COMMAND}`,
    '    eend $?',
    '}',
    '',
  ];
  await guest.mkdir('/etc/runlevels/default', { parents: true });
  await guest.mkdir('/etc/init.d', { parents: true });
  await guest.writeFile(`/etc/init.d/${SERVICE}`, lines.join('\n'), { mode: 0o755 });
  await guest.symlink(`/etc/init.d/${SERVICE}`, `/etc/runlevels/default/${SERVICE}`);
}

/**
 * System V init runs a local script after everything else. A script with a number of its own would not do: startpar starts only what
 * insserv has written into its dependency files, which the guest's own insserv must make.
 */
async function addToRcLocal(guest: Guest): Promise<void> {
  const path = await localScript(guest);
  const line = `[ ! -f ${RUNNER} ] || ${RUN_COMMAND} || : # ${SERVICE}`;
  const old = (await guest.exists(path)) ? await guest.stat(path) : undefined;
  await editText(guest, path, {
    change: (text = '#!/bin/sh\n') => {
      if (text.split('\n').includes(line)) return undefined;
      const [first = '', ...rest] = text.split('\n');
      if (!first.startsWith('#!')) return `${line}\n${text}`;
      if (!/^#!\s*\S*\/(env\s+)?(ba|da|k|a|z)?sh\b/.test(first))
        throw noPlace(guest, `${path} is no shell script`);
      return [first, line, ...rest].join('\n');
    },
    attributes: { mode: (old?.mode ?? 0o755) | 0o111 },
  });
}

async function localScript(guest: Guest): Promise<string> {
  const [rcLocal, redhat, suse] = RC_LOCALS;
  switch (guest.os.distro?.family) {
    case 'redhat':
      return redhat;
    case 'suse':
      return suse;
    case 'debian':
      // What runs it is a script of the package initscripts.
      if (await guest.exists('/etc/init.d/rc.local')) return rcLocal;
      throw noPlace(guest, 'it has no /etc/init.d/rc.local');
    case 'arch':
    case 'alpine':
    case 'gentoo':
    case 'cirros':
    case 'other':
    case undefined:
      for (const path of RC_LOCALS) if (await guest.exists(path)) return path;
      throw noPlace(guest, 'it has no rc.local');
  }
}

/** CirrOS runs /etc/rc3.d, others with BusyBox' init what is in /etc/init.d (Buildroot's rcS). */
async function addBusyboxScript(guest: Guest): Promise<void> {
  const script = `#!/bin/sh\n[ "$1" != start ] || exec ${RUN_COMMAND}\n`;
  if (await guest.exists('/etc/rc3.d')) {
    await guest.writeFile(`/etc/rc3.d/S99-${SERVICE}`, script, { mode: 0o755 });
  } else if (await guest.exists('/etc/init.d/rcS')) {
    await guest.writeFile(`/etc/init.d/S99${SERVICE}`, script, { mode: 0o755 });
  } else {
    throw noPlace(guest, 'it has neither /etc/rc3.d nor /etc/init.d/rcS');
  }
}

function noPlace(guest: Guest, why: string): TsbuilderError {
  return new TsbuilderError('TSB_GUEST', `${guest.name}: no first boot script can be installed: ${why}`, {
    hint: 'Run it while the disk is made: --run.',
  });
}
