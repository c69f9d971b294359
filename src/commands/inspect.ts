import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.js';
import { TsbuilderError } from '../errors.js';
import { inputFormatFlag, jobsFlag, sourceFlags } from '../flags.js';

function wholeDisksOnly(asked: string, disk: string): TsbuilderError {
  return new TsbuilderError('TSB_USAGE', `${asked}: a disk is inspected as a whole, not one partition`, {
    hint: `tsbuilder inspect ${disk} shows what is on each.`,
  });
}

function nothingKnown(src: string): TsbuilderError {
  return new TsbuilderError(
    'TSB_GUEST',
    `${src}: there is no partition table on it and no filesystem that is known`,
    {
      hint: 'It may be empty, encrypted, no disk at all, or in another format than raw, qcow2, xz, gzip and zstd.',
    },
  );
}

export default class Inspect extends BaseCommand<typeof Inspect> {
  static override summary =
    'Tell what operating systems are on a disk: distribution, version, kernels, mounts.';
  static override description =
    'For raw, xz, gzip, zstd and qcow2 images, local or over HTTP, and templates. Only the blocks that are needed are read, and nothing of the guest is run. Linux systems are found on ext2, ext3 and ext4 filesystems, on partitions and on LVM volumes in one piece; of other systems the partitions are shown.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> disk.qcow2',
    '<%= config.bin %> <%= command.id %> debian-12 --json',
    '<%= config.bin %> <%= command.id %> --format raw disk.img',
    {
      description: 'The distribution in an image on a server, without downloading it',
      command:
        "<%= config.bin %> <%= command.id %> https://example.com/disk.img.xz --json | jq -r '.systems[].productName'",
    },
  ];
  static override args = {
    src: Args.string({
      description: 'image file, http(s) URL or template name',
      required: true,
      ignoreStdin: true,
    }),
  };
  static override flags = {
    format: inputFormatFlag({ aliases: ['input-format'] }),
    'require-verified': Flags.boolean({
      description: 'refuse an image whose content is not verified by a signature',
    }),
    jobs: jobsFlag,
    ...sourceFlags,
  };

  protected override async execute(): Promise<unknown> {
    const { inspectDisk } = await import('../build/inspect-image.js');
    const { openForLooking } = await import('../serve/run-look.js');
    const { formatInspection } = await import('../ui/inspection.js');
    const { lookRequest } = await import('../ui/look-request.js');
    const { flags, args, progress, signal } = this;
    const request = lookRequest(args.src, { flags, progress, signal });
    if (request.partition !== undefined) throw wholeDisksOnly(args.src, request.src);
    await using disk = await openForLooking(request);
    const found = await inspectDisk(disk, signal);
    if (found.table === 'none' && found.volumes.length === 0) throw nothingKnown(args.src);
    this.log(formatInspection(found));
    return { src: args.src, ...found };
  }
}
