import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.js';
import { packJobsFlag, resolveSize, sizeFlag, xzCheckFlag } from '../flags.js';

const DEFAULT_BLOCK = 16 * 1024 ** 2;

export default class Pack extends BaseCommand<typeof Pack> {
  static override summary =
    'Pack a disk with xz, in blocks that can be decoded in parallel and read at any place.';
  static override description =
    'The disk is only read. What its filesystems do not use is packed as zeros (--no-sparsify packs the bytes that are there). The new file appears when it has been decoded again and every block holds what was packed, and the disk has not changed meanwhile. Its bytes do not depend on the number of jobs.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> disk.img disk.img.xz',
    '<%= config.bin %> <%= command.id %> disk.qcow2 disk.img.xz --preset 9e --block-size 32M',
    '<%= config.bin %> <%= command.id %> /dev/vg/machine machine.img.xz --jobs 4 --check sha256',
  ];
  static override args = {
    disk: Args.string({
      description: 'disk image (raw, qcow2; with qemu-img also VMDK, VDI, VHDX, VHD) or block device',
      required: true,
      ignoreStdin: true,
    }),
    out: Args.string({ description: 'new xz file', required: true, ignoreStdin: true }),
  };
  static override flags = {
    'block-size': sizeFlag({ description: 'content of each block (default: 16M)' }),
    preset: Flags.string({
      helpValue: '0-9[e]',
      description: 'how much time and memory is spent',
      default: '6',
    }),
    check: xzCheckFlag,
    sparsify: Flags.boolean({
      allowNo: true,
      default: true,
      description: 'pack what the filesystems do not use as zeros',
    }),
    verify: Flags.boolean({
      allowNo: true,
      default: true,
      description: 'decode the new file and compare it before it appears',
    }),
    jobs: packJobsFlag,
    force: Flags.boolean({ char: 'f', description: 'replace an existing output file' }),
  };

  protected override async execute(): Promise<unknown> {
    const { runPack } = await import('../publish/run-pack.js');
    const { encodeJobs } = await import('../io/native.js');
    const { formatSize } = await import('../io/format-size.js');
    const { flags, args, signal, progress } = this;
    const { preset, check, sparsify, verify, force } = flags;
    const result = await runPack({
      ...{ preset, check, sparsify, verify, force, progress, signal },
      input: args.disk,
      output: args.out,
      blockSize: flags['block-size'] ? resolveSize(flags['block-size'], 0) : DEFAULT_BLOCK,
      jobs: encodeJobs(flags.jobs),
    });
    if (!flags.quiet) {
      const { output, packedSize, size, freed } = result;
      const unused = freed === 0 ? '' : `; ${formatSize(freed)} that nothing uses were left out`;
      this.log(`${output}: ${formatSize(size)} in ${formatSize(packedSize)}${unused}`);
    }
    return result;
  }
}
