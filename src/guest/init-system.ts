import type { GuestFiles } from './guest.js';
import { isMissing } from './read-files.js';

export type InitSystem = 'systemd' | 'upstart' | 'openrc' | 'sysv' | 'busybox' | 'unknown';

/**
 * Which program starts the guest's services. What /sbin/init leads to decides; several init systems can be installed
 * at once.
 */
export async function detectInit(files: GuestFiles): Promise<InitSystem> {
  const program = (await initProgram(files)) ?? '';
  if (/\/systemd$/.test(program)) return 'systemd';
  const any = async (...paths: string[]): Promise<boolean> => {
    for (const path of paths) if (await files.exists(path)) return true;
    return false;
  };
  if (program === '' && (await any('/usr/lib/systemd/systemd', '/lib/systemd/systemd'))) return 'systemd';
  if (await any('/sbin/openrc', '/sbin/openrc-init', '/sbin/rc')) return 'openrc';
  if (/\/busybox$/.test(program)) return 'busybox';
  if (await any('/sbin/initctl')) return 'upstart';
  if (program !== '' && (await any('/etc/inittab', '/etc/init.d'))) return 'sysv';
  return 'unknown';
}

/** What the kernel would start, with links followed. */
async function initProgram(files: GuestFiles): Promise<string | undefined> {
  for (const path of ['/sbin/init', '/usr/sbin/init', '/usr/lib/systemd/systemd']) {
    try {
      if (await files.exists(path)) return await files.realPath(path);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  return undefined;
}
