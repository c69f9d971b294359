import { Args } from '@oclif/core';
import { BaseCommand } from '../../base-command.js';

export default class RepoList extends BaseCommand<typeof RepoList> {
  static override summary = 'List the templates of a repository, after verifying its index.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> ./repo',
    '<%= config.bin %> <%= command.id %> ./repo --json',
  ];
  static override args = {
    dir: Args.string({ description: 'folder of the repository', required: true, ignoreStdin: true }),
  };

  protected override async execute(): Promise<unknown> {
    const { listRepository } = await import('../../publish/repo/change-repository.js');
    const { formatTable } = await import('../../ui/table.js');
    const list = await listRepository(this.args.dir);
    const rows = list.templates.map(({ name, arch = '', revision, file = '', former }) => [
      ...[name, arch, String(revision), file],
      former.join(' '),
    ]);
    this.log(`Signed by ${list.signedBy ?? ''}${until(list.expiresAt)}`);
    if (rows.length > 0)
      this.log(formatTable([['NAME', 'ARCH', 'REVISION', 'FILE', 'FORMER'], ...rows]).join('\n'));
    return list;
  }
}

/** How long a signature holds, as the end of a sentence. */
function until(expiresAt: Date | undefined): string {
  if (!expiresAt) return '';
  const day = `${expiresAt.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  return expiresAt.getTime() > Date.now() ? ` until ${day}` : `; expired on ${day}: repo sign renews it`;
}
