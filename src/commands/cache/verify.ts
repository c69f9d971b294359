import { BaseCommand } from '../../base-command.js';
import { sourceFlags } from '../../flags.js';

export default class CacheVerify extends BaseCommand<typeof CacheVerify> {
  static override summary = 'Hash every cached template again and set damaged ones aside.';
  static override description =
    'Damaged files go to the folder quarantine of the cache, and the next build fetches them again. The exit status is 5 when there were any.';
  static override examples = ['<%= config.bin %> <%= command.id %>'];
  static override flags = { cache: sourceFlags.cache };

  protected override async execute(): Promise<unknown> {
    const { TsbuilderError } = await import('../../errors.js');
    const { openTemplateCache } = await import('../../index-repo/template-cache.js');
    const { cacheFolder } = await import('../../index-repo/user-folders.js');
    const { formatSize } = await import('../../io/format-size.js');
    const { progress, signal } = this;
    const cache = openTemplateCache(this.flags.cache ?? cacheFolder());
    const templates = await cache.list();
    const size = templates.reduce((sum, item) => sum + item.size, 0);
    using step = progress.step('Verifying the cache', size);
    const verdicts = await cache.verify({ onDone: (item) => step.advance(item.size), signal });
    const bad = verdicts.filter(({ ok }) => !ok);
    for (const item of bad)
      progress.warn(`${item.name ?? item.path}: is damaged and was moved to ${item.quarantined}`);
    if (bad.length > 0) {
      throw new TsbuilderError(
        'TSB_CHECKSUM_MISMATCH',
        `${bad.length} of ${verdicts.length} cached files were damaged`,
        {
          hint: 'They have been set aside; the next build fetches them again.',
          details: { dir: cache.dir, damaged: bad.length, files: verdicts.length },
        },
      );
    }
    if (!this.flags.quiet)
      this.log(`${formatSize(size)} in ${verdicts.length} of ${verdicts.length} files are as they should be`);
    return { dir: cache.dir, templates: verdicts };
  }
}
