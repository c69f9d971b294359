import { BaseCommand } from '../../base-command.js';
import { sourceFlags } from '../../flags.js';

export default class CacheClear extends BaseCommand<typeof CacheClear> {
  static override summary = 'Remove all cached templates.';
  static override description =
    'Other files in the folder of the cache stay, and so does what a running build or download works on.';
  static override examples = ['<%= config.bin %> <%= command.id %>'];
  static override flags = { cache: sourceFlags.cache };

  protected override async execute(): Promise<unknown> {
    const { openTemplateCache } = await import('../../index-repo/template-cache.js');
    const { cacheFolder } = await import('../../index-repo/user-folders.js');
    const { formatRemovals } = await import('../../ui/cache-removals.js');
    const cache = openTemplateCache(this.flags.cache ?? cacheFolder());
    const removed = await cache.clear(this.signal);
    if (!this.flags.quiet) this.log(formatRemovals(removed).at(-1) ?? '');
    return { dir: cache.dir, removed };
  }
}
