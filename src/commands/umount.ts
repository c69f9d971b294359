import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.js';

export default class Umount extends BaseCommand<typeof Umount> {
  static override summary = 'Unmount an image that mount showed, and wait until its server has gone.';
  static override description =
    'Removes what mount made: the files, the folder if it was new, and the state of the server. Also what is left of a mount whose server was killed. A file in use stays mounted (status 7), unless --force takes it away.';
  static override examples = ['<%= config.bin %> <%= command.id %> /mnt/image'];
  static override args = {
    dir: Args.string({
      description: 'folder in which the image is mounted',
      required: true,
      ignoreStdin: true,
    }),
  };
  static override flags = {
    force: Flags.boolean({
      char: 'f',
      default: false,
      description: 'unmount files that are in use too: whoever uses them gets errors',
    }),
  };

  protected override async execute(): Promise<unknown> {
    const { runUmount } = await import('../serve/run-umount.js');
    const { progress, signal } = this;
    return runUmount({ dir: this.args.dir, force: this.flags.force, progress, signal });
  }
}
