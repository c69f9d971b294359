import * as v from 'valibot';
import { TsbuilderError } from '../../errors.js';
import type { Guest } from '../../guest/guest.js';
import { isMissing } from '../../guest/read-files.js';
import { editText, setAssignment } from '../identity/edit-text.js';
import type { FileOperationKind } from '../operation-kind.js';

const ZONES = '/usr/share/zoneinfo';
const LOCALTIME = '/etc/localtime';
const MAX_ZONE_BYTES = 1024 * 1024;

/** Names such as `Europe/Paris`, `Etc/GMT+1`, `UTC`: nothing that leads out of the folder. */
const NAME = /^[A-Za-z0-9_+-][A-Za-z0-9_+.-]*(\/[A-Za-z0-9_+-][A-Za-z0-9_+.-]*)*$/;
const MAX_NAME = 255;

/** Sets the guest's time zone, one that its own zone files have. */
export const timezone: FileOperationKind<string> = {
  name: 'timezone',
  argument: 'ZONE',
  summary: "Set the guest's time zone, such as Europe/Paris.",
  runs: 'offline',
  schema: v.pipe(
    v.string(),
    v.maxLength(MAX_NAME),
    v.regex(NAME, 'must be the name of a time zone, such as Europe/Paris'),
  ),
  parse(text) {
    if (text.length <= MAX_NAME && NAME.test(text)) return text;
    throw new TsbuilderError('TSB_USAGE', `--timezone '${text}': not the name of a time zone`, {
      hint: 'Give one such as Europe/Paris or UTC.',
    });
  },
  describe: (zone) => `set the time zone to ${zone}`,
  async apply(guest, zone) {
    await assertZone(guest, zone);
    await setLocaltime(guest, zone);
    await setSettings(guest, zone);
  },
};

async function assertZone(guest: Guest, zone: string): Promise<void> {
  const path = `${ZONES}/${zone}`;
  if (!(await guest.exists(ZONES))) {
    throw zoneError(`${guest.name}: no time zones are installed (no ${ZONES})`, 'Install tzdata first.');
  }
  if (!(await guest.exists(path))) {
    const close = await closeName(guest, zone);
    const hint = close === undefined ? `The guest's zones are in ${ZONES}.` : `Is ${close} meant?`;
    throw zoneError(`${guest.name}: there is no time zone ${zone}`, hint);
  }
  if ((await guest.stat(path)).type === 'directory') {
    throw zoneError(`${guest.name}: ${zone} is a region, not a time zone`, `Name a zone in ${path}.`);
  }
  if (!(await guest.readHead(path, 4)).equals(Buffer.from('TZif'))) {
    throw zoneError(`${guest.name}: ${path} is no time zone file (RFC 9636)`);
  }
}

/** The zone that differs only in the case of its letters. */
async function closeName(guest: Guest, zone: string): Promise<string | undefined> {
  const found: string[] = [];
  for (const part of zone.split('/')) {
    const folder = [ZONES, ...found].join('/');
    if ((await guest.stat(folder)).type !== 'directory') return undefined;
    const name = (await guest.list(folder)).find((each) => each.toLowerCase() === part.toLowerCase());
    if (name === undefined || !(await guest.exists(`${folder}/${name}`))) return undefined;
    found.push(name);
  }
  return found.join('/');
}

/**
 * A link stays a link of the same form. Systems from before systemd have a copy, since /usr may come late in their boot;
 * they keep having one.
 */
async function setLocaltime(guest: Guest, zone: string): Promise<void> {
  const old = await targetOf(guest);
  if (old === 'file' && guest.os.init !== 'systemd') {
    await guest.writeFile(LOCALTIME, await guest.readFile(`${ZONES}/${zone}`, { maxBytes: MAX_ZONE_BYTES }));
    return;
  }
  const debian = guest.os.distro?.family === 'debian';
  const absolute = old === undefined || old === 'file' ? debian : old.startsWith('/');
  await guest.symlink(`${absolute ? '' : '..'}${ZONES}/${zone}`, LOCALTIME);
}

/** Where /etc/localtime leads, or `file` when it is one, or undefined when it is not there. */
async function targetOf(guest: Guest): Promise<string | undefined> {
  try {
    return (await guest.lstat(LOCALTIME)).type === 'symlink' ? await guest.readLink(LOCALTIME) : 'file';
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** The settings that packages take the zone from when zone files are updated; only where the guest has them. */
async function setSettings(guest: Guest, zone: string): Promise<void> {
  await editText(guest, '/etc/timezone', {
    change: (text) => (text === undefined ? undefined : `${zone}\n`),
  });
  const key = guest.os.distro?.family === 'suse' ? 'TIMEZONE' : 'ZONE';
  await editText(guest, '/etc/sysconfig/clock', {
    change: (text) => (text === undefined ? undefined : setAssignment(text, `${key}="${zone}"`)),
  });
}

function zoneError(message: string, hint?: string): TsbuilderError {
  return new TsbuilderError('TSB_GUEST', message, { hint });
}
