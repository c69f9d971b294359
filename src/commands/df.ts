import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.js';
import { imageFlags, inputFormatFlag } from '../flags.js';

export default class Df extends BaseCommand<typeof Df> {
  static override summary =
    'Show how full the filesystems of a disk are, and what sparsify and pack would save.';
  static override description =
    'Reads partition tables, allocation tables of filesystems and what the image says about zeros, not the files: of an image on a server a few ranges. Of xz files it tells how much of the file each region takes. --map draws the disk: what is in use, what is free, what is free and takes room, and how well each block is packed.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> disk.qcow2',
    '<%= config.bin %> <%= command.id %> debian-12 --map debian-12.html',
    '<%= config.bin %> <%= command.id %> https://example.com/disk.img.xz --map disk.svg',
    {
      description: 'What could be freed, in bytes',
      command: '<%= config.bin %> <%= command.id %> disk.img --json | jq .sparsify.freeable',
    },
  ];
  static override args = {
    src: Args.string({
      description: 'disk image, block device, http(s) URL or template name',
      required: true,
      ignoreStdin: true,
    }),
  };
  static override flags = {
    bytes: Flags.boolean({ char: 'b', default: false, description: 'show sizes in bytes' }),
    human: Flags.boolean({
      default: false,
      description: 'show sizes for people (default)',
      exclusive: ['bytes'],
    }),
    map: Flags.string({
      helpValue: 'FILE.svg|FILE.html',
      description: 'draw the disk into this file; HTML has a table of the regions too',
    }),
    force: Flags.boolean({ char: 'f', default: false, description: 'replace an existing picture' }),
    format: inputFormatFlag({ aliases: ['input-format'] }),
    ...imageFlags,
  };

  protected override async execute(): Promise<unknown> {
    const { runDf } = await import('../publish/run-df.js');
    const { openStoredDisk } = await import('../serve/open-stored-disk.js');
    const { formatDf } = await import('../ui/df-summary.js');
    const { redactUrl } = await import('../io/redact-url.js');
    const { lookRequest } = await import('../ui/look-request.js');
    const { flags, args, progress, signal } = this;
    const request = lookRequest(args.src, { flags, progress, signal });
    await using stored = await openStoredDisk({ ...request, src: args.src });
    const { disk, format, index, occupied, local } = stored;
    const result = await runDf({
      ...{ disk, format, index, occupied, signal },
      name: redactUrl(args.src),
      sample: local,
      map: flags.map,
      force: flags.force,
    });
    this.log(formatDf(result, flags));
    return result;
  }
}
