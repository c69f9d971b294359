import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../base-command.js';
import type { PublishSummary } from '../../publish/target/publish-repository.js';

/** A template is opened as a file: no sources are asked. */
const PLAIN = { 'require-verified': false, offline: true, 'check-signature': true, 'allow-rollback': false };

export default class RepoPublish extends BaseCommand<typeof RepoPublish> {
  static override summary =
    'Send a repository to where users find it: a folder, an S3 bucket, or a server by rsync.';
  static override description =
    'All of the repository is verified first: signatures, and every file that the indexes name. Only what is missing or different is sent, index.asc last: until then the former index holds, and what it names stays. A catalogue page, index.html, is written beside the index. The index is read back at the end. Credentials for s3:// come from the AWS environment or profile.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> ./repo /srv/www/repo --url https://example.org/repo',
    '<%= config.bin %> <%= command.id %> ./repo www.example.org:/srv/www/repo --url https://example.org/repo --delete',
    '<%= config.bin %> <%= command.id %> ./repo s3://my-bucket/templates --url https://my-bucket.s3.amazonaws.com/templates',
    '<%= config.bin %> <%= command.id %> ./repo s3://images --endpoint https://s3.example.org',
    {
      description: 'What would be sent',
      command: '<%= config.bin %> <%= command.id %> ./repo rsync://backup/repo --dry-run',
    },
  ];
  static override args = {
    dir: Args.string({ description: 'folder of the repository', required: true, ignoreStdin: true }),
    target: Args.string({
      description: 'folder, file:// URL, host:path, rsync:// URL, or s3://BUCKET[/PREFIX]',
      required: true,
      ignoreStdin: true,
    }),
  };
  static override flags = {
    url: Flags.string({
      helpValue: 'URL',
      description: 'where users find the folder: for the commands on the page',
    }),
    page: Flags.boolean({ allowNo: true, default: true, description: 'write and send a catalogue page' }),
    delete: Flags.boolean({
      description:
        'take away template files of the target that neither index names and the repository does not have',
    }),
    endpoint: Flags.string({
      helpValue: 'URL',
      description: 'S3 server of an s3:// target (default: AWS_ENDPOINT_URL, else Amazon)',
    }),
    region: Flags.string({
      helpValue: 'REGION',
      description: 'region of an s3:// target (default: AWS_REGION, else the profile)',
    }),
    'path-style': Flags.boolean({
      allowNo: true,
      description: 'whether the bucket is in the path, not the host name (default: with an endpoint)',
    }),
    force: Flags.boolean({
      description:
        'replace an index of the target that another key has signed, that is newer, or that names other content',
    }),
    'dry-run': Flags.boolean({ description: 'verify, show what would be sent, and do nothing' }),
  };

  protected override async execute(): Promise<unknown> {
    const { folderUrl } = await import('../../publish/catalogue/folder-url.js');
    const { openTarget } = await import('../../publish/target/open-target.js');
    const { publishRepository } = await import('../../publish/target/publish-repository.js');
    const { openStoredDisk } = await import('../../serve/open-stored-disk.js');
    const { lookRequest } = await import('../../ui/look-request.js');
    const { args, flags, progress, signal } = this;
    const url = flags.url === undefined ? undefined : folderUrl(flags.url);
    const summary = await publishRepository({
      ...{
        dir: args.dir,
        url,
        page: flags.page,
        remove: flags.delete,
        dryRun: flags['dry-run'],
        force: flags.force,
      },
      target: await openTarget(args.dir, args.target, {
        ...{ endpoint: flags.endpoint, region: flags.region, pathStyle: flags['path-style'] },
      }),
      openDisk: (path) => openStoredDisk(lookRequest(path, { flags: PLAIN, progress, signal })),
      ...{ progress, signal },
    });
    if (!flags.quiet) await this.show(summary);
    return summary;
  }

  private async show(summary: PublishSummary): Promise<void> {
    const { target, sent, sentBytes, resumedBytes, unchanged, removed, dryRun } = summary;
    const { formatSize } = await import('../../io/format-size.js');
    const { printable } = await import('../../io/printable.js');
    for (const name of sent) this.log(printable(`${dryRun ? 'Would send' : 'Sent'} ${name}`));
    for (const name of removed) this.log(printable(`${dryRun ? 'Would remove' : 'Removed'} ${name}`));
    const resumed = resumedBytes > 0 ? `, ${formatSize(resumedBytes)} of it by an interrupted run` : '';
    const size = `${formatSize(sentBytes)}${resumed}`;
    this.log(
      printable(
        `${target}: ${sent.length} sent (${size}), ${unchanged} unchanged, ${removed.length} removed`,
      ),
    );
  }
}
