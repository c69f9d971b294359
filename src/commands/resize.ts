import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.js';
import { jobsFlag, resolveSize, sizeFlag } from '../flags.js';

export default class Resize extends BaseCommand<typeof Resize> {
  static override summary =
    'Grow a raw, qcow2 or xz-compressed disk: the disk, a partition and its filesystem.';
  static override description =
    'Partition numbers never change; partitions behind the one that grows move to the end. Without --in-place the input is only read.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> small.img big.img --size 20G',
    '<%= config.bin %> <%= command.id %> template.xz disk.qcow2 --format qcow2 --size +5G --expand /dev/sda2',
    '<%= config.bin %> <%= command.id %> disk.img --in-place --size +1G',
  ];
  static override args = {
    in: Args.string({
      description: 'disk to grow: raw, qcow2 or xz; a file or an http(s) URL',
      required: true,
      ignoreStdin: true,
    }),
    out: Args.string({ description: 'new disk', ignoreStdin: true }),
  };
  static override flags = {
    size: sizeFlag({ char: 's', required: true, description: 'new virtual size, or +SIZE to add' }),
    format: Flags.string({
      helpValue: 'raw|qcow2|vmdk|vdi|vhdx|vpc',
      default: 'raw',
      description: 'format of the new disk; all but raw and qcow2 need qemu-img',
    }),
    expand: Flags.string({
      helpValue: 'PART',
      description: 'partition to grow, such as /dev/sda3 or 3 (default: the last that can)',
    }),
    lvexpand: Flags.string({ helpValue: 'LV', description: 'logical volume to grow, such as /dev/vg/root' }),
    'in-place': Flags.boolean({ default: false, description: 'grow the raw disk IN itself' }),
    jobs: jobsFlag,
    force: Flags.boolean({ char: 'f', description: 'replace an existing output file' }),
    sync: Flags.boolean({ allowNo: true, description: 'flush the output to the disk before it appears' }),
    'dry-run': Flags.boolean({ char: 'n', description: 'print the plan and stop' }),
  };

  protected override async execute(): Promise<unknown> {
    const { runResize } = await import('../build/run-resize.js');
    const { decodeJobs } = await import('../io/native.js');
    const { formatResizePlan, summarizeResizePlan } = await import('../resize/format-plan.js');
    const { flags, args, signal, progress } = this;
    const result = await runResize({
      input: args.in,
      output: args.out,
      inPlace: flags['in-place'],
      targetSize: (size) => resolveSize(flags.size, size),
      format: flags.format,
      expand: flags.expand,
      lvexpand: flags.lvexpand,
      jobs: decodeJobs(flags.jobs),
      force: flags.force,
      sync: flags.sync,
      dryRun: flags['dry-run'],
      progress,
      signal,
    });
    if (!flags.quiet) this.log(formatResizePlan(result.resize));
    return { ...result, resize: summarizeResizePlan(result.resize) };
  }
}
