import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.js';

export default class Info extends BaseCommand<typeof Info> {
  static override summary = 'Show what an image is: compression, blocks, partitions, filesystems, zeros.';
  static override description =
    'For xz, raw and qcow2 images, local or over HTTP. Only the parts that are needed are read: a remote image is downloaded only where the server cannot send parts of it.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> disk.img.xz',
    '<%= config.bin %> <%= command.id %> https://example.com/disk.img.xz --blocks',
    '<%= config.bin %> <%= command.id %> vm.qcow2 --json',
  ];
  static override args = {
    src: Args.string({ description: 'image file or http(s) URL', required: true, ignoreStdin: true }),
  };
  static override flags = {
    blocks: Flags.boolean({ char: 'b', description: 'list every xz block' }),
  };

  protected override async execute(): Promise<unknown> {
    const { describeImage } = await import('../build/describe-image.js');
    const { openAnySource } = await import('../io/open-any-source.js');
    const { formatImage } = await import('../ui/image-description.js');
    const { progress, signal } = this;
    const { src } = this.args;
    await using source = await openAnySource(src, { progress, signal });
    const path = /^https?:/i.test(src) ? undefined : source.name;
    const image = await describeImage(source, { blocks: this.flags.blocks, path, signal });
    this.log(formatImage(image));
    return image;
  }
}
