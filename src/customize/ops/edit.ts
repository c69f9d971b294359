import { createReadStream } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { TsbuilderError } from '../../errors.js';
import type { Guest } from '../../guest/guest.js';
import { exec } from '../../io/exec.js';
import { openScratchFolder } from '../../io/scratch-folder.js';
import { fieldsOperation, guestFile } from '../files/argument.js';
import type { CustomizeContext } from '../operation-kind.js';

/** Edits a file with Perl. */
export const edit = fieldsOperation({
  name: 'edit',
  argument: 'FILE:EXPR',
  summary:
    'Change each line of a file ($_, its number is $lineno) by a Perl expression, run on this machine.',
  fields: {
    path: guestFile,
    expression: v.pipe(
      v.string(),
      v.check((text) => !text.includes('\0'), 'an expression cannot have a NUL character'),
    ),
  },
  describe: ({ path }) => `edit ${path}`,
  apply: editFile,
});

/**
 * Everything that is not the user's own expression. A comment at the expression's end ends at the line break. Messages of Perl count
 * the lines of the expression.
 */
function program(expression: string): string {
  return `BEGIN { open(STDOUT, ">", shift(@ARGV)) or die("cannot write: $!\\n") }
$lineno = 0;
while (<STDIN>) { $lineno++;
# line 1 "the expression"
${expression}
} continue { print STDOUT $_ or die("cannot write: $!\\n") }
close(STDOUT) or die("cannot write: $!\\n");
`;
}

async function editFile(
  guest: Guest,
  { path, expression }: { path: string; expression: string },
  context: CustomizeContext,
): Promise<void> {
  const before = await guest.readFile(path);
  await using folder = await openScratchFolder('edit');
  const output = join(folder.path, 'output');
  // Not an argument: others on the machine would see it in the list of processes.
  const script = join(folder.path, 'program');
  await writeFile(script, program(expression), { mode: 0o600 });
  await runPerl(path, { args: ['--', script, output], input: before }, context);
  const { size } = await stat(output);
  if (size === before.length && (await readFile(output)).equals(before)) return;
  await guest.writeFile(path, createReadStream(output));
}

async function runPerl(
  path: string,
  run: { args: readonly string[]; input: Buffer },
  context: CustomizeContext,
): Promise<void> {
  const { input } = run;
  // Bytes stay bytes, whatever the user's environment says of Unicode.
  const env = { PERL_UNICODE: '0', PERL5OPT: '' };
  try {
    await exec('perl', run.args, { input, env, debianPackage: 'perl', signal: context.signal });
  } catch (error) {
    if (!(error instanceof TsbuilderError)) throw error;
    const { code, hint } = error;
    // Perl's last line names the file that the program was in.
    const message = error.message.replace(/\s*Execution of \S+ aborted due to compilation errors\.\s*$/, '');
    throw new TsbuilderError(code, `${path} cannot be edited, it is unchanged: ${message}`, {
      hint,
      cause: error,
    });
  }
}
