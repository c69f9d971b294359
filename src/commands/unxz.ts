import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.js';
import { jobsFlag } from '../flags.js';

export default class Unxz extends BaseCommand<typeof Unxz> {
  static override summary =
    'Decompress an xz file or URL in parallel into a sparse file, a qcow2 disk, a device or a pipe.';
  static override description =
    'Blocks are decoded on all CPUs, as the index of the file allows; zeros become holes. The new file appears only when everything has been decoded and checked.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> disk.img.xz',
    '<%= config.bin %> <%= command.id %> https://example.com/disk.img.xz disk.qcow2 --format qcow2',
    '<%= config.bin %> <%= command.id %> backup.tar.xz - | tar -t',
  ];
  static override args = {
    src: Args.string({ description: 'xz file or http(s) URL', required: true, ignoreStdin: true }),
    out: Args.string({
      description: 'new file, block device, or - for standard output (default: SRC without .xz)',
      ignoreStdin: true,
    }),
  };
  static override flags = {
    format: Flags.option({ options: ['raw', 'qcow2'] as const, default: 'raw' as const })({
      description: 'format of the output',
    }),
    jobs: jobsFlag,
    force: Flags.boolean({ char: 'f', description: 'replace an existing output file' }),
    sync: Flags.boolean({ allowNo: true, description: 'flush the output to the disk before it appears' }),
    compress: Flags.option({ options: ['zlib', 'zstd'] as const })({
      description: 'compress qcow2 clusters',
    }),
    'cluster-size': Flags.integer({
      description: 'qcow2 cluster size in bytes',
      helpValue: 'N',
    }),
  };

  protected override async execute(): Promise<unknown> {
    const { assertTargetOptions } = await import('../build/content-target.js');
    const { defaultUnpackedName, runUnpack } = await import('../build/run-unpack.js');
    const { decodeJobs } = await import('../io/native.js');
    const { formatSize } = await import('../io/format-size.js');
    const { flags, args, signal, progress } = this;
    const output = args.out ?? defaultUnpackedName(args.src);
    await assertTargetOptions({
      output,
      format: flags.format,
      compress: flags.compress,
      clusterSize: flags['cluster-size'],
      json: this.jsonEnabled(),
    });
    const result = await runUnpack({
      input: args.src,
      output,
      format: flags.format,
      jobs: decodeJobs(flags.jobs),
      force: flags.force,
      sync: flags.sync,
      compress: flags.compress,
      clusterSize: flags['cluster-size'],
      progress,
      signal,
    });
    if (output !== '-' && !flags.quiet) {
      this.log(
        `${result.output}: ${formatSize(result.size)}, ${formatSize(result.allocated ?? result.size)} on disk`,
      );
    }
    return result;
  }
}
