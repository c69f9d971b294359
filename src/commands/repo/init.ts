import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../base-command.js';
import { signerFlags, signerRequest } from '../../ui/repo-flags.js';

export default class RepoInit extends BaseCommand<typeof RepoInit> {
  static override summary = 'Begin a signed repository of templates in a folder.';
  static override description =
    'Makes an empty, signed index and the public key beside it. Without --key or --gpg-key a new key is made; its secret half is kept outside the folder, readable by you only. The format is that of virt-builder.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> ./repo',
    '<%= config.bin %> <%= command.id %> ./repo --key secret.asc --passphrase-file pass.txt',
    '<%= config.bin %> <%= command.id %> ./repo --gpg-key you@example.com --expires 30d',
  ];
  static override args = {
    dir: Args.string({ description: 'folder of the repository', required: true, ignoreStdin: true }),
  };
  static override flags = {
    name: Flags.string({
      helpValue: 'USERID',
      description: 'user ID of the new key (default: name of the folder)',
    }),
    ...signerFlags,
  };

  protected override async execute(): Promise<unknown> {
    const { initRepository } = await import('../../publish/repo/init-repository.js');
    const { args, flags } = this;
    const result = await initRepository({
      ...signerRequest(flags, this),
      dir: args.dir,
      userId: flags.name,
    });
    if (!flags.quiet) {
      this.log(`${result.index}: signed by ${result.fingerprint}`);
      if (result.madeKey)
        this.log(`The new secret key is in ${result.keptIn}: back it up, and keep it from others.`);
      this.log(
        `\nFor users, as a file in repos.d (replace the file URLs when you serve the folder):\n\n${result.conf}`,
      );
    }
    return result;
  }
}
