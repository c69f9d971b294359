import type { Guest } from '../../guest/guest.js';
import { isMissing } from '../../guest/read-files.js';
import { RUN_COMMAND, SCRIPTS, SERVICE } from './runner.js';

const UNITS = '/etc/systemd/system';
const UNIT = `${SERVICE}.service`;
const PRESETS = '/etc/systemd/system-preset';

/** Targets whose start includes multi-user.target's (systemd.special(7)). */
const INCLUDING_MULTI_USER = /^(multi-user|graphical|default|runlevel[2-5])\.target$/;

/**
 * What is started may take long (an update of everything) and may leave programs running; it must not be started again by
 * hand in the same boot.
 */
const UNIT_TEXT = `[Unit]
Description=First boot scripts of tsbuilder
After=local-fs.target remote-fs.target network.target guestfs-firstboot.service
ConditionDirectoryNotEmpty=${SCRIPTS}

[Service]
Type=oneshot
ExecStart=${RUN_COMMAND}
RemainAfterExit=yes
TimeoutSec=0
StandardOutput=journal+console

[Install]
WantedBy=multi-user.target
`;

const NETWORK_TEXT = `[Unit]
Wants=network-online.target
After=network-online.target
`;

/** Installs and enables the runner's unit, once more without harm. */
export async function addSystemdService(guest: Guest, needs: { readonly network: boolean }): Promise<void> {
  await put(guest, UNITS, { [UNIT]: UNIT_TEXT });
  if (needs.network) await put(guest, `${UNITS}/${UNIT}.d`, { 'network.conf': NETWORK_TEXT });
  // At a boot with an empty machine-id, systemd applies its presets, and "disable *" is the last of them on many.
  await put(guest, PRESETS, { [`00-${SERVICE}.preset`]: `enable ${UNIT}\n` });
  for (const target of await targets(guest)) {
    await guest.mkdir(`${UNITS}/${target}.wants`, { parents: true });
    await guest.symlink(`${UNITS}/${UNIT}`, `${UNITS}/${target}.wants/${UNIT}`);
  }
}

async function put(guest: Guest, folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  await guest.mkdir(folder, { parents: true });
  for (const [name, text] of Object.entries(files)) await guest.writeFile(`${folder}/${name}`, text);
}

/** multi-user.target, and the one that the guest boots into where that does not include it. */
async function targets(guest: Guest): Promise<string[]> {
  const usual = 'multi-user.target';
  const own = await defaultTarget(guest);
  return own === undefined || INCLUDING_MULTI_USER.test(own) ? [usual] : [usual, own];
}

async function defaultTarget(guest: Guest): Promise<string | undefined> {
  for (const folder of [UNITS, '/usr/lib/systemd/system', '/lib/systemd/system']) {
    try {
      const path = `${folder}/default.target`;
      if ((await guest.lstat(path)).type !== 'symlink') return undefined;
      const target = await guest.readLink(path);
      return /(?:^|\/)([A-Za-z0-9:_.@-]+\.target)$/.exec(target)?.[1];
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  return undefined;
}
