import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../base-command.js';
import type { SourceConfig } from '../../index-repo/source-config.js';

export default class SourceAdd extends BaseCommand<typeof SourceAdd> {
  static override summary = 'Add a source of templates to your own.';
  static override description =
    'Its index is fetched and verified first. The keys are copied: later changes of the key file have no effect.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> example https://example.com/index.asc --key example.asc',
    {
      description: 'With a key from your GnuPG keyring',
      command:
        '<%= config.bin %> <%= command.id %> example https://example.com/index.asc --fingerprint 0123...CDEF',
    },
  ];
  static override args = {
    name: Args.string({ description: 'what to call it', required: true, ignoreStdin: true }),
    uri: Args.string({ description: 'path or URL of its index', required: true, ignoreStdin: true }),
  };
  static override flags = {
    key: Flags.string({
      helpValue: 'FILE',
      multiple: true,
      multipleNonGreedy: true,
      description: 'file with the public keys to trust',
    }),
    fingerprint: Flags.string({
      helpValue: 'FP',
      multiple: true,
      multipleNonGreedy: true,
      description: 'trust only this key of the files, or of your GnuPG keyring',
    }),
    format: Flags.option({ options: ['native', 'simplestreams'] as const, default: 'native' as const })({
      description: 'format of the index',
    }),
    proxy: Flags.string({
      helpValue: 'URL',
      description: 'proxy for this source; no for none (default: as the environment says)',
    }),
    offline: Flags.boolean({ description: 'do not fetch the index to try it' }),
    force: Flags.boolean({ char: 'f', description: 'replace a source of that name' }),
  };

  protected override async execute(): Promise<unknown> {
    const { addSource, prepareSource } = await import('../../index-repo/manage-sources.js');
    const { args, flags, signal } = this;
    const { name, uri } = args;
    const { key = [], fingerprint = [], format, proxy, force } = flags;
    const wanted = { name, uri, format, proxy, keyFiles: key, fingerprints: fingerprint };
    const prepared = await prepareSource(wanted, { force, signal });
    const templates = flags.offline ? undefined : await this.countTemplates(prepared.source);
    await addSource(prepared);
    const trusted = prepared.trusted.map((one) => one.toUpperCase());
    const count =
      templates === undefined ? '' : `, which has ${templates} ${templates === 1 ? 'template' : 'templates'}`;
    if (!flags.quiet) this.log(`Added ${name}${count}; it must be signed by ${trusted.join(' or ')}.`);
    return { name, path: prepared.source.origin, fingerprints: trusted, templates };
  }

  private async countTemplates(source: SourceConfig): Promise<number> {
    const { entriesOf, loadIndexes } = await import('../../index-repo/load-indexes.js');
    const { progress, signal } = this;
    return entriesOf(await loadIndexes([source], { progress, signal })).length;
  }
}
