import { open, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import * as v from 'valibot';
import { TsbuilderError, messageOf } from '../../errors.js';
import type { Guest } from '../../guest/guest.js';
import { addFirstbootScript } from '../firstboot/add-script.js';
import { installScript } from '../firstboot/install-script.js';
import { packageManagerOf, packagesArgument } from '../in-guest/packages.js';
import type { CustomizeContext, FileOperationKind } from '../operation-kind.js';

/** Longest first line of a script that the kernel looks at (BINPRM_BUF_SIZE). */
const HEAD_BYTES = 256;

const withoutNul = (what: string) =>
  v.pipe(v.string(), v.nonEmpty(`${what} is missing`), v.regex(/^[^\0]*$/, `${what} has a NUL character`));

/** Runs a script of the host's at the guest's first boot. */
export const firstboot: FileOperationKind<string> = {
  name: 'firstboot',
  argument: 'SCRIPT',
  summary: 'Run a script at the first boot of the guest.',
  runs: 'offline',
  schema: withoutNul('the name of the script'),
  parse: (text) => nonEmpty(text, '--firstboot: the name of the script is missing'),
  hostFiles: (path) => [{ path }],
  describe: (path) => `at first boot run ${path}`,
  async apply(guest, path, context) {
    await examineScript(path, context);
    await addFirstbootScript(guest, { name: basename(path), content: { hostFile: path } });
  },
};

/** Runs a shell command at the guest's first boot. */
export const firstbootCommand: FileOperationKind<string> = {
  name: 'firstboot-command',
  argument: "'COMMAND'",
  summary: 'Run a shell command at the first boot of the guest.',
  runs: 'offline',
  schema: withoutNul('the command'),
  parse: (text) => nonEmpty(text, '--firstboot-command: the command is missing'),
  // A command can hold a password; its first word does not.
  describe: (command) => `at first boot run a command of ${command.length} characters`,
  async apply(guest, command) {
    await addFirstbootScript(guest, { name: 'command', content: `#!/bin/sh\n${command}\n` });
  },
};

/** Installs packages at the guest's first boot, with its own network. */
export const firstbootInstall: FileOperationKind<string[]> = {
  name: 'firstboot-install',
  argument: 'PACKAGE,PACKAGE..',
  summary: 'Install packages at the first boot of the guest.',
  runs: 'offline',
  ...packagesArgument('firstboot-install'),
  describe: (packages) => `at first boot install ${packages.join(', ')}`,
  apply: installAtFirstBoot,
};

async function installAtFirstBoot(guest: Guest, packages: readonly string[]): Promise<void> {
  const manager = packageManagerOf(guest.os);
  await addFirstbootScript(guest, {
    name: 'install',
    content: installScript(manager, packages),
    network: true,
  });
}

function nonEmpty(text: string, message: string): string {
  if (text !== '' && !text.includes('\0')) return text;
  throw new TsbuilderError('TSB_USAGE', message);
}

/** Finds out now what would be found out at the guest's first boot only. */
async function examineScript(path: string, context: CustomizeContext): Promise<void> {
  const head = await readHead(path);
  if (/^#![^\n]*\r\n/.test(head)) {
    context.warn(`${path}: its first line ends in CR LF, so the guest will not find its interpreter`);
  }
}

async function readHead(path: string): Promise<string> {
  try {
    // Before it is opened: a pipe would wait for its writer.
    if (!(await stat(path)).isFile()) throw new Error('not a regular file');
    await using file = await open(path, 'r');
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.toString('latin1', 0, bytesRead);
  } catch (error) {
    throw new TsbuilderError('TSB_NOT_FOUND', `${path}: cannot be read: ${messageOf(error)}`, {
      hint: 'Name a script on this machine.',
      cause: error,
    });
  }
}
