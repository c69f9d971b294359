import type { Guest } from '../guest/guest.js';
import type { RandomSource } from '../io/random.js';

/** What becomes of the guest's machine-id(5). */
export type MachineIdChoice = 'random' | 'empty' | 'keep';

const MACHINE_ID = '/etc/machine-id';
const DBUS_ID = '/var/lib/dbus/machine-id';

/**
 * Sets the machine-id: `random` writes a new one (a random UUID without dashes, as machine-id(5) wants it), `empty`
 * leaves an empty file, so that the guest makes its own at its first boot, `keep` changes nothing. D-Bus' own copy, where
 * it is a file and not the usual link, gets the same id or is removed. A guest that has neither file and no systemd gets
 * none.
 *
 * @returns each path when it is changed
 */
export async function* setMachineId(
  guest: Guest,
  choice: MachineIdChoice,
  random: RandomSource,
): AsyncGenerator<string, void> {
  if (choice === 'keep') return;
  const text = choice === 'random' ? `${random.uuid('machine-id').replaceAll('-', '')}\n` : '';
  if (guest.os.init === 'systemd' || (await guest.exists(MACHINE_ID))) {
    await guest.writeFile(MACHINE_ID, text, { mode: 0o444, uid: 0, gid: 0 });
    yield MACHINE_ID;
  }
  if (await isPlainFile(guest, DBUS_ID)) {
    // D-Bus takes an empty file for a broken one, but makes a missing one.
    if (text === '') await guest.remove(DBUS_ID);
    else await guest.writeFile(DBUS_ID, text);
    yield DBUS_ID;
  }
}

async function isPlainFile(guest: Guest, path: string): Promise<boolean> {
  const folder = path.slice(0, path.lastIndexOf('/'));
  if (!(await guest.exists(folder)) || !(await guest.list(folder)).includes('machine-id')) return false;
  return (await guest.lstat(path)).type === 'file';
}
