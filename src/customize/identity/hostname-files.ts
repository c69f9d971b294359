import { smallText } from '../../guest/distro.js';
import type { Guest } from '../../guest/guest.js';
import type { GuestOs } from '../../guest/inspect.js';
import { type TextEdit, editText, setAssignment } from './edit-text.js';

/** A file that holds the host's name, and how. */
interface NameFile {
  readonly path: string;
  readonly change: (name: string) => TextEdit;
}

const HOSTNAME: NameFile = { path: '/etc/hostname', change: (name) => () => `${name}\n` };
const SUSE: NameFile = { path: '/etc/HOSTNAME', change: (name) => () => `${name}\n` };
const SYSCONFIG: NameFile = {
  path: '/etc/sysconfig/network',
  change: (name) => assign(`HOSTNAME=${name}`, 'NETWORKING=yes\n'),
};
const CONF_D: NameFile = { path: '/etc/conf.d/hostname', change: (name) => assign(`hostname="${name}"`, '') };
const MACHINE_INFO: NameFile = {
  path: '/etc/machine-info',
  change: (name) => assign(`PRETTY_HOSTNAME="${name}"`, ''),
};

function assign(assignment: string, missing: string): TextEdit {
  return (text) => setAssignment(text ?? missing, assignment);
}

/**
 * Writes the host's name to the files that the guest's init reads it from.
 *
 * @returns the paths changed
 */
export async function writeHostname(guest: Guest, name: string): Promise<string[]> {
  const changed: string[] = [];
  for (const { path, change } of await nameFiles(guest)) {
    if (await editText(guest, path, { change: change(name) })) changed.push(path);
  }
  return changed;
}

/** The name that the guest has now, or undefined when no file says. */
export async function readHostname(guest: Guest): Promise<string | undefined> {
  for (const path of [HOSTNAME.path, SUSE.path]) {
    const line = (await smallText(guest, path))?.split('\n').find((each) => /^[^#\s]/.test(each));
    if (line !== undefined) return line.trim();
  }
  for (const { path } of [SYSCONFIG, CONF_D]) {
    const match = /^\s*hostname=["']?([^"'\s]+)/im.exec((await smallText(guest, path)) ?? '');
    if (match) return match[1];
  }
  return undefined;
}

async function nameFiles(guest: Guest): Promise<NameFile[]> {
  const { os } = guest;
  const also = async (file: NameFile): Promise<NameFile[]> => ((await guest.exists(file.path)) ? [file] : []);
  switch (os.distro?.family) {
    case 'redhat':
      return hasOldNetworkFile(os) ? [SYSCONFIG] : [HOSTNAME, MACHINE_INFO];
    case 'suse':
      return os.init === 'systemd' ? [HOSTNAME, ...(await also(SUSE))] : [SUSE];
    case 'gentoo':
      return os.init === 'systemd' ? [HOSTNAME] : [CONF_D, ...(await also(HOSTNAME))];
    case 'debian':
    case 'arch':
    case 'alpine':
    case 'cirros':
    case 'other':
    case undefined:
      return [HOSTNAME, ...(await also(SUSE)), ...(await prettyName(guest))];
  }
}

/** Before systemd the name was a variable of the network's settings. */
function hasOldNetworkFile(os: GuestOs): boolean {
  if (os.init !== 'unknown') return os.init !== 'systemd';
  const major = Number.parseInt(os.distro?.version ?? '', 10);
  return major < (os.distro?.id === 'fedora' ? 18 : 7);
}

/** A pretty name of the template's would go on being shown in the new one's place. */
async function prettyName(guest: Guest): Promise<NameFile[]> {
  const text = await smallText(guest, MACHINE_INFO.path);
  return text !== undefined && /^\s*PRETTY_HOSTNAME=/m.test(text) ? [MACHINE_INFO] : [];
}
