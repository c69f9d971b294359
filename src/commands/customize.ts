import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.js';
import type { CustomizeRequest } from '../build/customize-in-place.js';
import type { CustomizeMeans } from '../build/customize-work.js';
import { TsbuilderError } from '../errors.js';
import { jobsFlag } from '../flags.js';
import { customizeFlags } from '../ui/customize-flags.js';

export default class Customize extends BaseCommand<typeof Customize> {
  static override summary = 'Customise the Linux system on a raw or qcow2 disk that is not in use.';
  static override description =
    'Operations are done in their order on the command line, passwords last; files are changed without starting anything. The work is done on a copy that takes the place of the disk when all has gone well; the disk as it was is kept as DISK.bak.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> disk.img --hostname web1 --timezone Europe/Berlin',
    '<%= config.bin %> <%= command.id %> disk.img --root-password file:secret --ssh-inject root:file:id.pub --no-backup',
    '<%= config.bin %> <%= command.id %> golden.qcow2 -o web1.qcow2 --customize web1.yaml',
  ];
  static override args = {
    disk: Args.string({ description: 'raw or qcow2 disk in a file', required: true, ignoreStdin: true }),
  };
  static override flags = {
    output: Flags.string({
      char: 'o',
      helpValue: 'FILE',
      description: 'make FILE, in the format of the disk, and leave the disk as it is',
    }),
    'input-format': Flags.option({
      options: ['raw', 'qcow2'] as const,
      description: 'take the disk to be of this format (default: what it looks like)',
    })(),
    backup: Flags.boolean({
      allowNo: true,
      default: true,
      description: 'keep the disk as it was (--no-backup needs less room and is faster)',
    }),
    seed: Flags.string({
      helpValue: 'STRING',
      description: 'derive all randomness from STRING: the same disk is made twice',
    }),
    jobs: jobsFlag,
    force: Flags.boolean({ char: 'f', description: 'replace an existing output file' }),
    sync: Flags.boolean({ allowNo: true, description: 'flush the disk before it appears' }),
    'dry-run': Flags.boolean({ char: 'n', description: 'print the plan and stop' }),
    ...customizeFlags,
  };

  protected override async execute(): Promise<unknown> {
    const { withCloudInitDisk } = await import('../build/cloud-init-disk.js');
    const { runCustomize } = await import('../build/customize-in-place.js');
    const { decodeJobs } = await import('../io/native.js');
    const { formatCustomizeSummary } = await import('../ui/customize-summary.js');
    const { customizeWork } = await import('../ui/customize-work.js');
    const { formatSecrets, openSecretSink } = await import('../ui/password-file.js');
    const { args, flags, progress } = this;
    const work = await customizeWork(this.tokens, flags, this.signal);
    if (work.stages.length === 0 && work.diskIds !== 'new') {
      throw nothingToDo(flags['cloud-init-disk']);
    }
    const { output, force, backup } = flags;
    const jobs = decodeJobs(flags.jobs);
    const format = flags['input-format'];
    const request = { disk: args.disk, format, output, force, backup, work, jobs };
    if (flags['dry-run']) return this.plan(request);
    await using sink = await openSecretSink(flags['password-file'], { disk: output ?? args.disk, progress });
    const means = await this.means();
    const result = await withCloudInitDisk(
      work.cloudInitDisk,
      { ...means, force, image: output ?? args.disk },
      () => runCustomize(request, means),
    );
    const cloudInitDisk = work.cloudInitDisk?.path;
    const secrets = await sink.keep(result.secrets);
    if (!flags.quiet) this.log(formatCustomizeSummary({ ...result, cloudInitDisk }));
    if (secrets.length > 0) this.log(formatSecrets(secrets).trimEnd());
    return { ...result, cloudInitDisk, secrets };
  }

  private async plan(request: CustomizeRequest): Promise<unknown> {
    const { planRun } = await import('../build/customize-in-place.js');
    const { formatCustomizePlan } = await import('../ui/customize-summary.js');
    const plan = await planRun(request, this.signal);
    this.log(formatCustomizePlan(plan));
    return { plan };
  }

  private async means(): Promise<CustomizeMeans> {
    const { randomness } = await import('../build/randomness.js');
    const { progress, signal, flags } = this;
    return { ...randomness(flags.seed), sync: flags.sync, progress, signal };
  }
}

function nothingToDo(cloudInitDisk: string | undefined): TsbuilderError {
  if (cloudInitDisk === undefined) {
    return new TsbuilderError('TSB_USAGE', 'what is to be done to the disk?', {
      hint: 'Name an operation, such as --hostname web1; tsbuilder customize --help lists them.',
    });
  }
  return new TsbuilderError(
    'TSB_USAGE',
    'nothing is to be done to the disk: with --cloud-init-disk the data for cloud-init goes elsewhere',
    {
      hint: 'Name an operation besides, such as --hostname web1, or leave --cloud-init-disk away to put the data into the guest.',
    },
  );
}
