import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.js';
import { imageFlags, inputFormatFlag } from '../flags.js';

export default class Cp extends BaseCommand<typeof Cp> {
  static override summary = 'Copy the disk in an image to a raw or qcow2 file: in parallel, zeros as holes.';
  static override description =
    'From raw, xz, gzip, zstd and qcow2 images, local or over HTTP, and templates. The new file appears only when everything has been read and checked.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> disk.img.zst disk.img',
    '<%= config.bin %> <%= command.id %> https://example.com/disk.img.xz disk.qcow2 --format qcow2 --compress zstd',
    '<%= config.bin %> <%= command.id %> debian-12 root.img --partition 1',
    '<%= config.bin %> <%= command.id %> disk.qcow2 - | sha256sum',
  ];
  static override args = {
    src: Args.string({
      description: 'image file, http(s) URL or template name',
      required: true,
      ignoreStdin: true,
    }),
    out: Args.string({
      description: 'new file, block device, or - for standard output',
      required: true,
      ignoreStdin: true,
    }),
  };
  static override flags = {
    format: Flags.option({ options: ['raw', 'qcow2'] as const, default: 'raw' as const })({
      description: 'format of the output',
    }),
    compress: Flags.option({ options: ['zlib', 'zstd'] as const })({
      description: 'compress qcow2 clusters',
    }),
    'input-format': inputFormatFlag(),
    'cluster-size': Flags.integer({ description: 'qcow2 cluster size in bytes', helpValue: 'N' }),
    partition: Flags.integer({
      char: 'p',
      helpValue: 'N',
      min: 1,
      max: 128,
      description: 'copy only partition N',
    }),
    force: Flags.boolean({ char: 'f', description: 'replace an existing output file' }),
    sync: Flags.boolean({ allowNo: true, description: 'flush the output to the disk before it appears' }),
    ...imageFlags,
  };

  protected override async execute(): Promise<unknown> {
    const { assertTargetOptions } = await import('../build/content-target.js');
    const { runCopy } = await import('../serve/run-copy.js');
    const { decodeJobs } = await import('../io/native.js');
    const { formatSize } = await import('../io/format-size.js');
    const { templateQuery } = await import('../ui/template-query.js');
    const { flags, args, progress, signal } = this;
    const { format, compress, force, sync, partition, arch } = flags;
    const clusterSize = flags['cluster-size'];
    await assertTargetOptions({ output: args.out, format, compress, clusterSize, json: this.jsonEnabled() });
    const result = await runCopy({
      input: args.src,
      inputFormat: flags['input-format'],
      output: args.out,
      format,
      compress,
      clusterSize,
      force,
      sync,
      partition,
      arch,
      requireVerified: flags['require-verified'],
      templates: templateQuery(flags, this),
      http: { connections: flags.connections },
      jobs: decodeJobs(flags.jobs),
      progress,
      signal,
    });
    progress.detail(`${args.src}: ${result.protection}`);
    if (args.out !== '-' && !flags.quiet) {
      const onDisk = result.allocated === undefined ? '' : `, ${formatSize(result.allocated)} on disk`;
      this.log(`${result.output}: ${formatSize(result.size)}${onDisk}`);
    }
    return result;
  }
}
