import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../base-command.js';
import { keepFlag, signerFlags, signerRequest } from '../../ui/repo-flags.js';

export default class RepoSign extends BaseCommand<typeof RepoSign> {
  static override summary = "Sign a repository's index again, or change its keys.";
  static override description =
    'Only an index that is signed by a key of the repository is signed again; the signature may have expired. With --new-key, index.asc stays signed by the old key and a second index is signed by the new one; --retire ends that. A key that is lost or has expired is replaced with both at once. See docs/repository.md.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> ./repo --expires 30d',
    '<%= config.bin %> <%= command.id %> ./repo --new-key generate',
    '<%= config.bin %> <%= command.id %> ./repo --retire 0123...CDEF',
    {
      description: 'The only key is lost',
      command: '<%= config.bin %> <%= command.id %> ./repo --new-key generate --retire 0123...CDEF',
    },
  ];
  static override args = {
    dir: Args.string({ description: 'folder of the repository', required: true, ignoreStdin: true }),
  };
  static override flags = {
    'new-key': Flags.string({
      helpValue: 'KEY',
      description: 'add a key: generate, gpg:ID, or a file with a secret key',
    }),
    retire: Flags.string({
      helpValue: 'FP',
      description: 'drop the key with this fingerprint; it need not be there any more',
    }),
    keep: keepFlag,
    ...signerFlags,
  };

  protected override async execute(): Promise<unknown> {
    const { signAgain } = await import('../../publish/repo/change-repository.js');
    const { changedSigners } = await import('../../publish/repo/rotate-keys.js');
    const { indexOfKey } = await import('../../index-repo/publish-folder.js');
    const { args, flags, signal } = this;
    const request = signerRequest(flags, this);
    const change = { newKey: flags['new-key'], retire: flags.retire };
    const { signers, formerKeys } = await changedSigners(args.dir, change, request);
    const publisher = { dir: args.dir, keep: flags.keep, expiresMs: flags.expires, warn: request.warn };
    const templates = await signAgain({ ...publisher, signers, formerKeys }, signal);
    const indexes = signers.map(({ fingerprint, keptIn }) => ({
      index: fingerprint === signers.at(-1)?.fingerprint ? 'index.asc' : indexOfKey(fingerprint),
      fingerprint,
      keptIn,
    }));
    if (!flags.quiet)
      for (const { index, fingerprint, keptIn } of indexes)
        this.log(`${index}: signed by ${fingerprint} (${keptIn})`);
    return { dir: args.dir, templates, indexes };
  }
}
