import * as v from 'valibot';
import { TsbuilderError } from '../../errors.js';
import type { Guest } from '../../guest/guest.js';
import { editText } from '../identity/edit-text.js';
import { readHostname, writeHostname } from '../identity/hostname-files.js';
import { renameInHosts } from '../identity/hosts-file.js';
import type { CustomizeContext, FileOperationKind } from '../operation-kind.js';

const HOSTS = '/etc/hosts';

/** Linux takes no longer one (HOST_NAME_MAX, gethostname(2)). */
const MAX_LENGTH = 64;
const MAX_LABEL = 63;

/** Gives the guest its name: as it is given, with a domain or without. */
export const hostname: FileOperationKind<string> = {
  name: 'hostname',
  argument: 'NAME',
  summary: "Set the guest's host name.",
  runs: 'offline',
  schema: v.pipe(
    v.string(),
    v.check(
      (name) => hostnameProblem(name) === undefined,
      (issue) => `'${issue.input}' is no host name: ${hostnameProblem(issue.input) ?? ''}`,
    ),
  ),
  parse(text) {
    const problem = hostnameProblem(text);
    if (problem === undefined) return text;
    throw new TsbuilderError('TSB_USAGE', `--hostname '${text}': ${problem}`, {
      hint: 'Give a name such as web1 or web1.example.com.',
    });
  },
  describe: (name) => `set the host name to ${name}`,
  apply: setHostname,
};

/** What is wrong with a host name by RFC 1123 section 2.1 and Linux' limit; undefined for a good one. */
export function hostnameProblem(name: string): string | undefined {
  if (name === '') return 'it is empty';
  if (name.length > MAX_LENGTH) return `it has ${name.length} characters, more than ${MAX_LENGTH}`;
  if (/^[\d.]+$/.test(name) && name.includes('.')) return 'it looks like an IP address';
  for (const label of name.split('.')) {
    if (label === '') return 'a part between dots is empty';
    if (label.length > MAX_LABEL) return `a part has ${label.length} characters, more than ${MAX_LABEL}`;
    if (!/^[A-Za-z0-9-]+$/.test(label)) return 'only letters, digits, dashes and dots may be in it';
    if (label.startsWith('-') || label.endsWith('-')) return 'a part begins or ends with a dash';
  }
  return undefined;
}

async function setHostname(guest: Guest, name: string, context: CustomizeContext): Promise<void> {
  const from = await readHostname(guest);
  const { distro, init } = guest.os;
  await writeHostname(guest, name);
  const debian = distro?.family === 'debian';
  if (debian || (await guest.exists(HOSTS))) {
    const change = (text = '127.0.0.1\tlocalhost\n'): string =>
      renameInHosts(text, { from, to: name, addLine: debian });
    await editText(guest, HOSTS, { change });
  }
  if ((distro?.family ?? 'other') === 'other' && init !== 'systemd') {
    context.warn(
      `${guest.name}: ${distro?.name ?? 'this system'} may keep its host name elsewhere than in /etc/hostname`,
    );
  }
}
