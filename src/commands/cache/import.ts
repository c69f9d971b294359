import { Args } from '@oclif/core';
import { BaseCommand } from '../../base-command.js';
import { sourceFlags } from '../../flags.js';

export default class CacheImport extends BaseCommand<typeof CacheImport> {
  static override summary = 'Take a template that came some other way into the cache.';
  static override description =
    'The file must be what a signed index says: without NAME the entry with its checksum is looked for, with NAME it must match that template.';
  static override examples = ['<%= config.bin %> <%= command.id %> /media/usb/debian-12.xz'];
  static override args = {
    file: Args.string({ description: 'the template as it is published', required: true, ignoreStdin: true }),
    name: Args.string({ description: 'the template it is meant to be', ignoreStdin: true }),
  };
  static override flags = { ...sourceFlags };

  protected override async execute(): Promise<unknown> {
    const { openTemplates } = await import('../../build/open-templates.js');
    const { findEntryOfFile } = await import('../../index-repo/template-cache-import.js');
    const { templateQuery } = await import('../../ui/template-query.js');
    const { args, flags, progress, signal } = this;
    const templates = await openTemplates(templateQuery(flags, { progress, signal }));
    if (args.name === undefined) templates.tellAway();
    const entry =
      args.name === undefined
        ? await findEntryOfFile(args.file, templates.entries, signal)
        : templates.select(args.name, flags.arch);
    const path = await templates.cache.importFile(args.file, entry, { signal });
    const { name, arch, revision } = entry;
    if (!flags.quiet) this.log(`${name} (${arch}, revision ${revision}): ${path}`);
    return { dir: templates.cache.dir, name, arch, revision, path };
  }
}
