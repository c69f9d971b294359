import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.js';
import { packJobsFlag, resolveSize, sizeFlag, xzCheckFlag } from '../flags.js';

const DEFAULT_BLOCK = 16 * 1024 ** 2;

export default class Repack extends BaseCommand<typeof Repack> {
  static override summary =
    'Pack an xz file anew in small blocks, so that it can be decoded in parallel and read at any place.';
  static override description =
    'For xz files that are one large block, such as those made with one thread. The content is decoded in order and packed in parallel, in one pass; the new file appears when it has been decoded again and every block holds what was packed. It is some percent larger than the old one.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> disk.img.xz disk-blocks.img.xz',
    '<%= config.bin %> <%= command.id %> https://example.com/disk.img.xz disk.img.xz --preset 9e --block-size 32M',
  ];
  static override args = {
    src: Args.string({ description: 'xz file or http(s) URL', required: true, ignoreStdin: true }),
    out: Args.string({ description: 'new xz file', required: true, ignoreStdin: true }),
  };
  static override flags = {
    'block-size': sizeFlag({ description: 'content of each block (default: 16M)' }),
    preset: Flags.string({
      helpValue: '0-9[e]',
      description: 'how much time and memory xz may use',
      default: '6',
    }),
    check: xzCheckFlag,
    verify: Flags.boolean({
      allowNo: true,
      default: true,
      description: 'decode the new file and compare it before it appears',
    }),
    jobs: packJobsFlag,
    force: Flags.boolean({ char: 'f', description: 'replace an existing output file' }),
  };

  protected override async execute(): Promise<unknown> {
    const { runRepack } = await import('../build/run-repack.js');
    const { encodeJobs } = await import('../io/native.js');
    const { formatSize } = await import('../io/format-size.js');
    const { flags, args, signal, progress } = this;
    const result = await runRepack({
      input: args.src,
      output: args.out,
      blockSize: flags['block-size'] ? resolveSize(flags['block-size'], 0) : DEFAULT_BLOCK,
      preset: flags.preset,
      check: flags.check,
      jobs: encodeJobs(flags.jobs),
      force: flags.force,
      verify: flags.verify,
      progress,
      signal,
    });
    if (!flags.quiet) {
      const { output, packedBefore, packedSize, size } = result;
      this.log(
        `${output}: ${formatSize(size)} in ${formatSize(packedSize)}; it was ${formatSize(packedBefore)}`,
      );
    }
    return result;
  }
}
