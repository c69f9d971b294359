import { Args } from '@oclif/core';
import { BaseCommand } from '../../base-command.js';
import { sourceFlags } from '../../flags.js';

export default class CacheFetch extends BaseCommand<typeof CacheFetch> {
  static override summary = 'Fetch templates into the cache, for later or for a machine without network.';
  static override description =
    'Each is verified before it is kept. What is in the cache already is verified and not fetched again; local templates are used in place and need no copy.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> debian-12 fedora-40',
    { description: 'Then, without network:', command: '<%= config.bin %> debian-12 --offline' },
  ];
  static override args = {
    name: Args.string({
      description: 'templates to fetch',
      required: true,
      multiple: true,
      ignoreStdin: true,
    }),
  };
  static override flags = { ...sourceFlags };

  protected override async execute(): Promise<unknown> {
    const { openTemplates } = await import('../../build/open-templates.js');
    const { templateQuery } = await import('../../ui/template-query.js');
    const { args, flags, progress, signal } = this;
    const templates = await openTemplates(templateQuery(flags, { progress, signal }));
    // All names are looked up before anything is fetched.
    const entries = [...new Set(args.name)].map((name) => templates.select(name, flags.arch));
    const { cache } = templates;
    const fetched = [];
    for (const entry of entries) {
      const { name, arch, revision } = entry;
      const path = await cache.ensure(entry, { progress, offline: flags.offline, signal });
      fetched.push({ name, arch, revision, path });
      if (!flags.quiet) this.log(`${name} (${arch}, revision ${revision}): ${path}`);
    }
    return { dir: cache.dir, templates: fetched };
  }
}
