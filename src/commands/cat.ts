import { Args } from '@oclif/core';
import { BaseCommand } from '../base-command.js';
import { TsbuilderError } from '../errors.js';
import { lookFlags } from '../flags.js';

export default class Cat extends BaseCommand<typeof Cat> {
  static override summary =
    'Print files from inside an image: of an ext2, ext3 or ext4 filesystem, without unpacking it.';
  static override description =
    'For raw, xz, gzip, zstd and qcow2 images, local or over HTTP, and templates. Only the blocks that are needed are read. The bytes go to standard output as they are; symbolic links are followed inside the image only. With --json the content is part of the result: text, or base64 where it is no UTF-8.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> disk.img.xz /etc/os-release',
    '<%= config.bin %> <%= command.id %> https://example.com/disk.qcow2:1 /grub2/grub.cfg',
    '<%= config.bin %> <%= command.id %> debian-12 /etc/fstab /etc/hostname',
  ];
  static override strict = false;
  static override args = {
    src: Args.string({
      description:
        'image file, http(s) URL or template name; :N at its end is a partition (default: the one with the system)',
      required: true,
      ignoreStdin: true,
    }),
    path: Args.string({
      description: 'file in the image; more may follow',
      required: true,
      ignoreStdin: true,
    }),
  };
  static override flags = {
    ...lookFlags,
  };

  protected override async execute(): Promise<unknown> {
    const { fileContent } = await import('../serve/list-files.js');
    const { lookInto } = await import('../serve/run-look.js');
    const { contentObject } = await import('../ui/file-listing.js');
    const { lookRequest } = await import('../ui/look-request.js');
    const { untilReaderLeaves, writeStdout } = await import('../io/standard-output.js');
    const { args, flags, progress, signal } = this;
    const paths = this.words.slice(1);
    const json = this.jsonEnabled();
    if (paths.includes('')) {
      throw new TsbuilderError('TSB_USAGE', 'the name of a file in the image is empty', {
        hint: 'Give paths such as /etc/os-release; tsbuilder ls shows which there are.',
      });
    }
    return lookInto(lookRequest(args.src, { flags, progress, signal }), async ({ partition, files }) => {
      const printed: Record<string, unknown>[] = [];
      await untilReaderLeaves(async () => {
        for (const path of paths) {
          if (json) printed.push(contentObject(path, await files.readFile(path)));
          else for await (const piece of fileContent(files, path)) await writeStdout(piece, signal);
        }
      });
      return { src: args.src, partition, files: printed };
    });
  }
}
