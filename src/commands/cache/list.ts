import { BaseCommand } from '../../base-command.js';
import { sourceFlags } from '../../flags.js';

export default class CacheList extends BaseCommand<typeof CacheList> {
  static override summary = 'List the templates that are kept on this machine.';
  static override description =
    'The one used last comes first. A file of which the cache no longer knows the name is shown by its SHA-512.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --json',
  ];
  static override flags = { cache: sourceFlags.cache };

  protected override async execute(): Promise<unknown> {
    const { openTemplateCache } = await import('../../index-repo/template-cache.js');
    const { cacheFolder } = await import('../../index-repo/user-folders.js');
    const { formatSize } = await import('../../io/format-size.js');
    const { formatTable } = await import('../../ui/table.js');
    const cache = openTemplateCache(this.flags.cache ?? cacheFolder());
    const templates = await cache.list();
    const rows = templates.map(({ name, arch, revision, size, usedAt, sha512, source }) => [
      name ?? `${sha512.slice(0, 16)}...`,
      arch ?? '-',
      revision ?? '-',
      formatSize(size),
      new Date(usedAt).toISOString().slice(0, 10),
      source ?? '-',
    ]);
    const heading = ['NAME', 'ARCH', 'REVISION', 'SIZE', 'USED', 'SOURCE'];
    if (rows.length > 0) this.log(formatTable([heading, ...rows], [3]).join('\n'));
    return { dir: cache.dir, templates };
  }
}
