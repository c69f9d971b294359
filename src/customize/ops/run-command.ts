import * as v from 'valibot';
import { checked } from '../files/argument.js';
import type { SystemOperationKind } from '../operation-kind.js';

const command = v.pipe(
  v.string(),
  v.minLength(1, 'the command is missing'),
  v.check((text) => !text.includes('\0'), 'a command cannot have a NUL character'),
);

/** `--run-command`: a command line for the guest's shell. */
export const runCommand: SystemOperationKind<string> = {
  name: 'run-command',
  argument: "'COMMAND'",
  summary: "Run a command in the guest, by the guest's shell.",
  runs: 'in-guest',
  schema: command,
  parse: (text) => checked('run-command', command, text),
  // A command can hold a password.
  describe: (text) => `run a command of ${text.length} characters`,
  script: (text) => Promise.resolve(`${text}\n`),
};
