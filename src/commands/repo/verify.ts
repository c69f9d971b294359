import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../base-command.js';
import type { TsbuilderError } from '../../errors.js';

export default class RepoVerify extends BaseCommand<typeof RepoVerify> {
  static override summary = 'Verify a repository: its signature, and every file that its index names.';
  static override description =
    'Checks the index, and of each template the size, SHA-512, block map, virtual size, and that what expand= and lvexpand= name can be grown. Every fault is told; the exit status is 4 for the index, 5 for files, 8 for what is on the disks.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> ./repo',
    '<%= config.bin %> <%= command.id %> ./repo --key trusted.asc --json',
  ];
  static override args = {
    dir: Args.string({ description: 'folder of the repository', required: true, ignoreStdin: true }),
  };
  static override flags = {
    key: Flags.string({
      helpValue: 'FILE',
      multiple: true,
      multipleNonGreedy: true,
      description: 'public key that must have signed (default: key.asc of the repository)',
    }),
  };

  protected override async execute(): Promise<unknown> {
    const path = (await import('node:path')).join(this.args.dir, 'index.asc');
    const { EXIT } = await import('../../errors.js');
    const { printable } = await import('../../io/printable.js');
    const { findRepositoryEntries, validateIndex } = await import('../../publish/validate-index.js');
    const { verifyTemplate } = await import('../../publish/repo/verify-template.js');
    const { dir } = this.args;
    const keys = this.flags.key ?? [path.replace(/index\.asc$/, 'key.asc')];
    const verdict = await validateIndex(path, { keys, signal: this.signal });
    const faults: Pick<TsbuilderError, 'code' | 'message' | 'exit'>[] = verdict.problems
      .filter(({ severity }) => severity === 'error')
      .map(({ code, line, message }) => ({
        code,
        message: `line ${line}: ${message}`,
        exit: EXIT.signature,
      }));
    for (const entry of await findRepositoryEntries(path, this.signal)) {
      using _ = this.progress.step(`Verifying ${entry.name}`);
      const note = ({ code, message, exit }: TsbuilderError): unknown =>
        faults.push({ code, message, exit: exit === EXIT.notFound ? EXIT.checksum : exit });
      await verifyTemplate(entry, note, this.signal);
    }
    for (const { code, message } of faults) this.log(printable(`${message} [${code}]`));
    if (faults.length > 0) process.exitCode = Math.min(...faults.map(({ exit }) => exit));
    else if (!this.flags.quiet) this.log(`${dir}: ${verdict.templates} templates are as they should be`);
    return { ...verdict, valid: faults.length === 0, faults };
  }
}
