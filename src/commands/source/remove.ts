import { Args } from '@oclif/core';
import { BaseCommand } from '../../base-command.js';

export default class SourceRemove extends BaseCommand<typeof SourceRemove> {
  static override summary =
    'Remove a source of your own, or disable one that the system or tsbuilder brings.';
  static override examples = ['<%= config.bin %> <%= command.id %> libguestfs.org'];
  static override args = {
    name: Args.string({
      description: 'its name, as in source list',
      required: true,
      ignoreStdin: true,
    }),
  };

  protected override async execute(): Promise<unknown> {
    const { removeSource } = await import('../../index-repo/remove-source.js');
    const { name } = this.args;
    const { action, path, uncovered } = await removeSource(name, { progress: this.progress });
    const text = {
      removed: `Removed ${name}.`,
      disabled: `Disabled ${name}: delete ${path} to enable it again.`,
      'was-disabled': `${name} is disabled already: delete it from ${path} to enable it again.`,
    };
    if (!this.flags.quiet) this.log(text[action]);
    if (uncovered !== undefined)
      this.progress.warn(
        `${uncovered} defines ${name} too, and that is used now: remove it again to disable it`,
      );
    return { name, action, path, uncovered };
  }
}
