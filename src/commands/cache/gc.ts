import { Flags } from '@oclif/core';
import { BaseCommand } from '../../base-command.js';
import { durationFlag, sizeFlag, sourceFlags } from '../../flags.js';

export default class CacheGc extends BaseCommand<typeof CacheGc> {
  static override summary = 'Remove cached templates by age, by total size, or when no index refers to them.';
  static override description =
    'A file goes when any of the rules given wants it gone. Files that were set aside as damaged always go, and partial downloads that nobody has worked on for a week. A build that is running keeps what it reads.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> --max-age 30d --max-size 20G',
    '<%= config.bin %> <%= command.id %> --unreferenced --dry-run',
  ];
  static override flags = {
    'max-age': durationFlag({ description: 'remove what was not used for so long, such as 30d' }),
    'max-size': sizeFlag({ description: 'keep no more than so much, such as 20G; what was used last stays' }),
    unreferenced: Flags.boolean({ description: 'remove what no index refers to any more' }),
    partials: Flags.boolean({ description: 'remove every partial download that nobody is working on' }),
    'dry-run': Flags.boolean({ char: 'n', description: 'only say what would be removed' }),
    ...sourceFlags,
  };

  protected override async execute(): Promise<unknown> {
    const { TsbuilderError } = await import('../../errors.js');
    const { openTemplateCache } = await import('../../index-repo/template-cache.js');
    const { cacheFolder } = await import('../../index-repo/user-folders.js');
    const { formatRemovals } = await import('../../ui/cache-removals.js');
    const { flags, signal } = this;
    const maxSize = flags['max-size'];
    if (maxSize?.kind === 'relative')
      throw new TsbuilderError('TSB_USAGE', '--max-size cannot be an increment');
    const cache = openTemplateCache(flags.cache ?? cacheFolder());
    const removed = await cache.gc({
      maxAgeMs: flags['max-age'],
      maxBytes: maxSize?.bytes,
      referenced: flags.unreferenced ? await this.referenced() : undefined,
      partials: flags.partials,
      dryRun: flags['dry-run'],
      signal,
    });
    if (!flags.quiet) this.log(formatRemovals(removed, flags['dry-run']).join('\n'));
    return { dir: cache.dir, dryRun: flags['dry-run'], removed };
  }

  /** The entries of all sources. A source that cannot be read might refer to anything, so then nothing is removed. */
  private async referenced() {
    const { openTemplates } = await import('../../build/open-templates.js');
    const { templateQuery } = await import('../../ui/template-query.js');
    const { flags, progress, signal } = this;
    const { entries, failures } = await openTemplates(templateQuery(flags, { progress, signal }));
    if (failures[0]) throw failures[0];
    return entries;
  }
}
