import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../base-command.js';
import { jobsFlag } from '../../flags.js';
import type { RepositoryVerdict } from '../../publish/repo/verify-repository.js';

export default class RepoVerify extends BaseCommand<typeof RepoVerify> {
  static override summary = 'Verify a repository: its signatures, and every file that its indexes name.';
  static override description =
    'Checks the indexes, and of each template the size, SHA-512, block map, virtual size, and that what expand= and lvexpand= name can be grown; with --build, that it can be built. Every fault is told; the exit status is 4 for the index, 5 for files, 7 and 8 for what is on the disks. Files that no index names are told, and are no faults.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> ./repo',
    '<%= config.bin %> <%= command.id %> ./repo --build',
    '<%= config.bin %> <%= command.id %> ./repo --key trusted.asc --json',
    {
      description: 'Remove what a writer that was killed has left',
      command: '<%= config.bin %> <%= command.id %> ./repo --prune',
    },
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
    build: Flags.boolean({
      description:
        'build each template to a temporary disk, grown where it can be, and check its filesystems',
    }),
    prune: Flags.boolean({
      description: 'remove files that no index names, but for former revisions of templates',
    }),
    jobs: jobsFlag,
  };

  protected override async execute(): Promise<unknown> {
    const { decodeJobs } = await import('../../io/native.js');
    const { verifyRepository } = await import('../../publish/repo/verify-repository.js');
    const { flags, progress, signal } = this;
    const verdict = await verifyRepository({
      ...{ dir: this.args.dir, keys: flags.key, prune: flags.prune, progress, signal },
      buildJobs: flags.build ? decodeJobs(flags.jobs) : undefined,
    });
    const { faults } = verdict;
    await this.show(verdict);
    if (faults.length > 0) process.exitCode = Math.min(...faults.map(({ exit }) => exit));
    return { ...verdict, valid: faults.length === 0 };
  }

  private async show({ faults, strays, pruned, templates }: RepositoryVerdict): Promise<void> {
    const { printable } = await import('../../io/printable.js');
    for (const { code, message } of faults) this.log(printable(`${message} [${code}]`));
    if (this.flags.quiet) return;
    for (const name of strays)
      this.log(printable(pruned ? `Removed ${name}` : `No index names ${name}: --prune removes it`));
    if (faults.length === 0)
      this.log(
        `${this.args.dir}: ${templates} template${templates === 1 ? ' is' : 's are'} as ${templates === 1 ? 'it' : 'they'} should be`,
      );
  }
}
