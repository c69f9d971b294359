import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.js';
import { sourceFlags } from '../flags.js';

export default class Info extends BaseCommand<typeof Info> {
  static override summary = 'Show what an image is: compression, blocks, partitions, filesystems, zeros.';
  static override description =
    'For xz, raw and qcow2 images, local or over HTTP, and templates. Only the parts that are needed are read: a remote image is downloaded only where the server cannot send parts of it. A template is verified first, and fetched into the cache where it is not on this machine.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> disk.img.xz',
    '<%= config.bin %> <%= command.id %> https://example.com/disk.img.xz --blocks',
    '<%= config.bin %> <%= command.id %> debian-12',
    '<%= config.bin %> <%= command.id %> vm.qcow2 --json',
  ];
  static override args = {
    src: Args.string({
      description: 'image file, http(s) URL or template name',
      required: true,
      ignoreStdin: true,
    }),
  };
  static override flags = {
    blocks: Flags.boolean({ char: 'b', description: 'list every xz block' }),
    ...sourceFlags,
  };

  protected override async execute(): Promise<unknown> {
    const { describeImage } = await import('../build/describe-image.js');
    const { decodeJobs } = await import('../io/native.js');
    const { openFileForLooking } = await import('../serve/run-look.js');
    const { formatImage } = await import('../ui/image-description.js');
    const { templateQuery } = await import('../ui/template-query.js');
    const { flags, progress, signal } = this;
    await using source = await openFileForLooking({
      src: this.args.src,
      open: {
        arch: flags.arch,
        jobs: decodeJobs(undefined),
        templates: templateQuery(flags, this),
        progress,
        signal,
      },
    });
    const image = await describeImage(source, { blocks: flags.blocks, path: source.path, signal });
    this.log(formatImage(image));
    return image;
  }
}
