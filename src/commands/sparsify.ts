import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.js';
import { jobsFlag } from '../flags.js';

export default class Sparsify extends BaseCommand<typeof Sparsify> {
  static override summary = 'Make the free space of a disk take no room: in a copy, or in place.';
  static override description =
    'Free blocks of ext2/3/4 and FAT, swap space, unused LVM extents and gaps between partitions become holes, and with libguestfs what is free in XFS, btrfs and NTFS; files, UUIDs and labels stay as they are. A block device is told in place which blocks it need not keep. What is encrypted, damaged, not cleanly unmounted or not known is left and told. Without --in-place the disk is only read.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> disk.img sparse.img',
    '<%= config.bin %> <%= command.id %> disk.img --in-place',
    '<%= config.bin %> <%= command.id %> disk.qcow2 sparse.img --format raw --ignore 3',
    '<%= config.bin %> <%= command.id %> disk.img --dry-run',
    '<%= config.bin %> <%= command.id %> /dev/vg/machine --in-place',
  ];
  static override args = {
    disk: Args.string({
      description: 'raw or qcow2 disk, or block device',
      required: true,
      ignoreStdin: true,
    }),
    out: Args.string({ description: 'new disk', ignoreStdin: true }),
  };
  static override flags = {
    'in-place': Flags.boolean({
      default: false,
      description:
        'change DISK itself (a qcow2 image is replaced when the new one is complete; a device discards)',
    }),
    format: Flags.string({
      helpValue: 'raw|qcow2|vmdk|vdi|vhdx|vpc',
      description: 'format of the new disk (default: that of DISK); all but raw and qcow2 need qemu-img',
    }),
    ignore: Flags.integer({
      helpValue: 'PART',
      multiple: true,
      default: [],
      description: 'leave this partition as it is, by its number (repeatable)',
    }),
    jobs: jobsFlag,
    force: Flags.boolean({ char: 'f', default: false, description: 'replace an existing output file' }),
    'dry-run': Flags.boolean({ char: 'n', default: false, description: 'tell what is free and stop' }),
  };

  protected override async execute(): Promise<unknown> {
    const { runSparsify } = await import('../publish/run-sparsify.js');
    const { decodeJobs } = await import('../io/native.js');
    const { formatSparsifySummary } = await import('../ui/sparsify-summary.js');
    const { flags, args, signal, progress } = this;
    const result = await runSparsify({
      input: args.disk,
      output: args.out,
      inPlace: flags['in-place'],
      format: flags.format,
      ignore: flags.ignore,
      dryRun: flags['dry-run'],
      force: flags.force,
      jobs: decodeJobs(flags.jobs),
      progress,
      signal,
    });
    if (!flags.quiet) this.log(formatSparsifySummary(result));
    return result;
  }
}
