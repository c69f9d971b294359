import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../base-command.js';
import type { IndexVerdict } from '../../publish/validate-index.js';

export default class IndexValidate extends BaseCommand<typeof IndexValidate> {
  static override summary = 'Check an index of templates, and tell everything that is wrong with it.';
  static override description =
    'Each problem is told with its line and column. Warnings tell what virt-builder 1.48 refuses although tsbuilder reads it. A signature is verified only with --key; without it, only who claims to have signed is told. The exit status is 4 when there are errors, or with --strict warnings.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> index.asc',
    '<%= config.bin %> <%= command.id %> https://example.org/repo/index.asc --key example.asc',
    {
      description: 'Fit for virt-builder 1.48 too',
      command: '<%= config.bin %> <%= command.id %> index --strict',
    },
  ];
  static override args = {
    index: Args.string({
      description: 'path or URL of the index; - is standard input',
      required: true,
      ignoreStdin: true,
    }),
  };
  static override flags = {
    key: Flags.string({
      helpValue: 'FILE',
      multiple: true,
      multipleNonGreedy: true,
      description: 'public key that must have signed it',
    }),
    strict: Flags.boolean({ description: 'take warnings for errors' }),
  };

  protected override async execute(): Promise<unknown> {
    const { EXIT } = await import('../../errors.js');
    const { validateIndex } = await import('../../publish/validate-index.js');
    const { args, flags, signal } = this;
    const verdict = await validateIndex(args.index, { keys: flags.key ?? [], signal });
    const errors = verdict.problems.filter(({ severity }) => flags.strict || severity === 'error');
    await this.show(verdict);
    // The list is the result, so it is no error object that ends the command.
    if (errors.length > 0) process.exitCode = EXIT.signature;
    return { ...verdict, valid: errors.length === 0 };
  }

  private async show(verdict: IndexVerdict): Promise<void> {
    const { printable } = await import('../../io/printable.js');
    const { url, problems, templates } = verdict;
    for (const { severity, code, line, column, message } of problems)
      this.log(printable(`${url}:${line}:${column}: ${severity}: ${message} [${code}]`));
    if (this.flags.quiet) return;
    const errors = problems.filter(({ severity }) => severity === 'error').length;
    this.log(
      printable(
        `${url}: ${counted(templates, 'usable template')}, ${counted(errors, 'error')}, ${counted(problems.length - errors, 'warning')}; ${signer(verdict)}`,
      ),
    );
  }
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function signer({ signed, signedBy, verified }: IndexVerdict): string {
  if (!signed) return 'not signed';
  if (verified) return `signed by ${signedBy ?? ''}`;
  return `claims to be signed by ${signedBy ?? 'an unknown key'}, which was not verified`;
}
