import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../base-command.js';
import { keepFlag, signerFlags, signerRequest } from '../../ui/repo-flags.js';

export default class RepoRemove extends BaseCommand<typeof RepoRemove> {
  static override summary = 'Take a template out of a repository and sign its index again.';
  static override description =
    'The files of the template stay until the next change, for clients that still hold the index before; --keep 0 removes them at once.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> ./repo debian-12',
    '<%= config.bin %> <%= command.id %> ./repo debian-12 --revision 3',
  ];
  static override args = {
    dir: Args.string({ description: 'folder of the repository', required: true, ignoreStdin: true }),
    name: Args.string({ description: 'name of the template', required: true, ignoreStdin: true }),
  };
  static override flags = {
    arch: Flags.string({ helpValue: 'ARCH', description: 'its architecture, if it is there for several' }),
    revision: Flags.integer({
      helpValue: 'N',
      min: 0,
      description: 'remove the files of this former revision',
    }),
    keep: keepFlag,
    ...signerFlags,
  };

  protected override async execute(): Promise<unknown> {
    const { removeTemplate } = await import('../../publish/repo/change-repository.js');
    const { repositorySigners } = await import('../../publish/repo/open-signers.js');
    const { args, flags, signal } = this;
    const request = signerRequest(flags, this);
    const signers = await repositorySigners(args.dir, request);
    const publisher = {
      dir: args.dir,
      signers,
      keep: flags.keep,
      expiresMs: flags.expires,
      warn: request.warn,
    };
    const result = await removeTemplate(publisher, { ...args, ...flags }, signal);
    if (!flags.quiet) this.log(`Removed ${result.name} (${result.arch}), revision ${result.revision}.`);
    return result;
  }
}
