import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.js';
import { lookFlags } from '../flags.js';

export default class Ls extends BaseCommand<typeof Ls> {
  static override summary =
    'List files inside an image: of an ext2, ext3 or ext4 filesystem, without unpacking it.';
  static override description =
    'For raw, xz, gzip, zstd and qcow2 images, local or over HTTP, and templates. Only the blocks that are needed are read. All files are listed, those with a leading dot too; names are printed as they are, on a terminal with harmful characters escaped.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> disk.img.xz /etc',
    '<%= config.bin %> <%= command.id %> -l https://example.com/disk.qcow2:2 /boot',
    '<%= config.bin %> <%= command.id %> debian-12 /etc -R --json',
  ];
  static override args = {
    src: Args.string({
      description:
        'image file, http(s) URL or template name; :N at its end is a partition (default: the one with the system)',
      required: true,
      ignoreStdin: true,
    }),
    path: Args.string({ description: 'file or folder in the image', default: '/', ignoreStdin: true }),
  };
  static override flags = {
    long: Flags.boolean({
      char: 'l',
      description: 'show type, mode, links, owner, size, time and link targets',
    }),
    recursive: Flags.boolean({ char: 'R', description: 'list all folders below too, as whole paths' }),
    ...lookFlags,
  };

  protected override async execute(): Promise<unknown> {
    const { listFiles } = await import('../serve/list-files.js');
    const { lookInto } = await import('../serve/run-look.js');
    const { lookRequest } = await import('../ui/look-request.js');
    const { formatListing, listingObject } = await import('../ui/file-listing.js');
    const { untilReaderLeaves, writeStdout } = await import('../io/standard-output.js');
    const { flags, args, progress, signal } = this;
    const json = this.jsonEnabled();
    const style = { long: flags.long, paths: flags.recursive, terminal: process.stdout.isTTY };
    const options = {
      details: flags.long || json,
      recursive: flags.recursive,
      onSkip: (message: string) => progress.warn(message),
    };
    return lookInto(lookRequest(args.src, { flags, progress, signal }), async ({ partition, files }) => {
      const listed: Record<string, unknown>[] = [];
      await untilReaderLeaves(async () => {
        for await (const file of listFiles(files, args.path, options)) {
          if (json) listed.push(listingObject(file));
          else await writeStdout(formatListing(file, style), signal);
        }
      });
      return { src: args.src, partition, files: listed };
    });
  }
}
