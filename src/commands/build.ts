import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.js';
import type { BuildContext } from '../build/build-context.js';
import type { OpenedTemplates } from '../build/open-templates.js';
import type { BuildPlan } from '../build/plan-build.js';
import { TsbuilderError } from '../errors.js';
import type { TemplateEntry } from '../index-repo/template-entry.js';
import { jobsFlag, resolveSize, sizeFlag, sourceFlags } from '../flags.js';
import { customizeFlags } from '../ui/customize-flags.js';

export default class Build extends BaseCommand<typeof Build> {
  static override summary = 'Build a disk from a template: tsbuilder NAME is short for tsbuilder build NAME.';
  static override description =
    "Fetches the signed index, verifies it, decodes the template in parallel into a sparse disk, grows the partition and the filesystem, seeds the guest's randomness, does the operations that are asked for in their order, and lets the file appear when every byte has been verified.";
  static override examples = [
    { description: 'A 10 GiB disk', command: '<%= config.bin %> debian-12 --size 10G' },
    {
      description: 'A qcow2 disk under another name',
      command: '<%= config.bin %> debian-12 -o vm.qcow2 --format qcow2',
    },
    {
      description: 'With a name, a key to log in with, and a package that is installed at the first boot',
      command: '<%= config.bin %> debian-12 --hostname web1 --ssh-inject root --firstboot-install nginx',
    },
    { description: 'What there is', command: '<%= config.bin %> --list' },
    { description: 'What would be done', command: '<%= config.bin %> debian-12 --size 10G --dry-run' },
    {
      description: 'From a repository of your own',
      command: '<%= config.bin %> my-os --source https://example.com/index.asc --key example.asc',
    },
  ];
  static override args = {
    name: Args.string({ description: 'template (or, with --list, what to list)', ignoreStdin: true }),
  };
  static override flags = {
    list: Flags.boolean({
      char: 'l',
      description: 'list the templates',
      exclusive: ['notes'],
      helpGroup: 'MODE',
    }),
    notes: Flags.boolean({ description: 'print the notes of a template', helpGroup: 'MODE' }),
    'list-format': Flags.option({ options: ['short', 'long', 'json'] as const, default: 'short' as const })({
      description: 'form of the list',
      helpGroup: 'MODE',
    }),
    'dry-run': Flags.boolean({ char: 'n', description: 'print the plan and stop', helpGroup: 'MODE' }),

    output: Flags.string({
      char: 'o',
      helpValue: 'FILE',
      description: 'the disk to make (default: NAME.img or NAME.FORMAT)',
    }),
    format: Flags.string({
      helpValue: 'raw|qcow2|vmdk|vdi|vhdx|vpc',
      description: 'format of the disk; all but raw and qcow2 need qemu-img',
      default: 'raw',
    }),
    size: sizeFlag({
      char: 's',
      description: "virtual size such as 10G, or +2G to add (default: the template's)",
    }),
    expand: Flags.string({
      helpValue: 'PART',
      description: 'partition to grow to --size, such as /dev/sda3 or 3',
    }),
    compress: Flags.option({ options: ['zlib', 'zstd'] as const })({
      description: 'compress the clusters of a qcow2 disk',
    }),
    'cluster-size': Flags.integer({
      helpValue: 'N',
      description: 'qcow2 cluster size in bytes (default 65536)',
    }),
    'machine-id': Flags.option({ options: ['random', 'empty', 'keep'] as const, default: 'random' as const })(
      {
        description: "what becomes of the guest's machine-id",
      },
    ),
    seed: Flags.string({
      helpValue: 'STRING',
      description: 'derive all randomness from STRING: a reproducible build',
    }),
    jobs: jobsFlag,
    force: Flags.boolean({ char: 'f', description: 'replace an existing output file' }),
    sync: Flags.boolean({ allowNo: true, description: 'flush the output to the disk before it appears' }),

    ...customizeFlags,
    ...sourceFlags,
    cache: Flags.string({
      helpValue: 'DIR',
      description: 'folder of the template cache',
      helpGroup: 'SOURCE',
      exclusive: ['no-cache'],
    }),
    'no-cache': Flags.boolean({ description: 'keep no template', helpGroup: 'SOURCE' }),
    'template-build': Flags.boolean({
      allowNo: true,
      default: true,
      description: 'make the template from its recipe when no source has it',
      helpGroup: 'SOURCE',
    }),
  };

  protected override async execute(): Promise<unknown> {
    const { list, notes, output } = this.flags;
    if (list) return this.list();
    const { name } = this.args;
    if (name === undefined) {
      throw new TsbuilderError('TSB_USAGE', 'which template?', {
        hint: 'tsbuilder --list shows them, tsbuilder --help the options.',
      });
    }
    if (notes) return this.notes(name);
    if (this.flags.expand !== undefined && this.flags.size === undefined) {
      throw new TsbuilderError('TSB_USAGE', '--expand says what grows, but without --size nothing does', {
        hint: 'Add --size, such as --size 10G.',
      });
    }
    const { defaultOutput } = await import('../build/plan-build.js');
    const { assertOutput } = await import('../build/run-build.js');
    const path = output ?? defaultOutput(name, this.flags.format);
    const { format, force, compress, 'cluster-size': clusterSize, 'dry-run': dryRun } = this.flags;
    await assertOutput(path, { format, force, compress, clusterSize, dryRun });
    return this.build(name, path);
  }

  private async list(): Promise<unknown> {
    const { formatListJson, listJson } = await import('../index-repo/format-list-json.js');
    const { formatListLong, formatListShort } = await import('../index-repo/format-list.js');
    const { bestEntries } = await import('../index-repo/select-template.js');
    const templates = await this.openTemplates();
    templates.tellAway();
    const { name, arch } = { ...this.args, ...this.flags };
    const wanted = name === undefined ? templates.entries : [templates.select(name, arch)];
    const entries = bestEntries(wanted);
    const cached = new Set<TemplateEntry>();
    for (const entry of entries) if (await templates.cache.lookup(entry)) cached.add(entry);
    const options = { sources: templates.sources, isCached: (entry: TemplateEntry) => cached.has(entry) };
    const text = {
      short: () => formatListShort(entries),
      long: () => formatListLong(entries, options),
      json: () => formatListJson(entries, options),
    }[this.flags['list-format']]();
    this.log(text.trimEnd());
    return listJson(entries, options);
  }

  private async notes(name: string): Promise<unknown> {
    const { formatNotes } = await import('../index-repo/format-list.js');
    const { notesByLanguage } = await import('../index-repo/format-list-json.js');
    const entry = (await this.openTemplates()).select(name, this.flags.arch);
    const notes = formatNotes(entry);
    this.log(notes === '' ? `${entry.name} has no notes.` : notes.trimEnd());
    return { name: entry.name, notes: notesByLanguage(entry) };
  }

  private async build(name: string, output: string): Promise<unknown> {
    const { assertCustomizable } = await import('../build/assert-customizable.js');
    const { planBuild } = await import('../build/plan-build.js');
    const { templateOrRecipe } = await import('../build/template-or-recipe.js');
    const { assertFormat } = await import('../image/convert-image.js');
    const { decodeJobs } = await import('../io/native.js');
    const { customizeWork } = await import('../ui/customize-work.js');
    const { flags, progress, signal } = this;
    const jobs = decodeJobs(flags.jobs);
    const work = await customizeWork(this.tokens, flags, signal);
    await assertCustomizable(work, signal);
    const { entry, rivals, cache } = await templateOrRecipe(() => this.openTemplates(), {
      name,
      arch: flags.arch,
      recipes: this.recipePolicy(),
      fits: (size) => flags.size === undefined || resolveSize(flags.size, size) >= size,
      jobs,
      progress,
      signal,
    });
    const plan = planBuild(entry, {
      output,
      format: flags.format,
      targetSize: flags.size && resolveSize(flags.size, entry.size),
      expand: flags.expand,
      machineId: flags['machine-id'],
      seed: flags.seed,
      stages: work.stages,
      diskIds: work.diskIds,
      cloudInitDisk: work.cloudInitDisk?.path,
      rivals,
    });
    await assertFormat(flags.format, {
      compress: flags.compress,
      clusterSize: flags['cluster-size'],
      size: plan.targetSize ?? entry.size,
    });
    const context = {
      entry,
      cache,
      jobs,
      force: flags.force,
      sync: flags.sync,
      offline: flags.offline,
      noCache: flags['no-cache'],
      compress: flags.compress,
      clusterSize: flags['cluster-size'],
      work,
      progress,
      signal,
    };
    return flags['dry-run'] ? this.plan(plan, context) : this.make(plan, context);
  }

  private async plan(plan: BuildPlan, context: BuildContext): Promise<unknown> {
    const { planPartitions } = await import('../build/run-build.js');
    const { summarizeResizePlan } = await import('../resize/format-plan.js');
    const { formatBuildPlan } = await import('../ui/build-summary.js');
    const resize = await planPartitions(plan, context);
    this.log(formatBuildPlan(plan, resize));
    return { plan: { ...plan, resize: summarizeResizePlan(resize) } };
  }

  private async make(plan: BuildPlan, context: BuildContext): Promise<unknown> {
    const { withCloudInitDisk } = await import('../build/cloud-init-disk.js');
    const { randomness } = await import('../build/randomness.js');
    const { runBuild } = await import('../build/run-build.js');
    const { summarizeResizePlan } = await import('../resize/format-plan.js');
    const { formatBuildSummary } = await import('../ui/build-summary.js');
    const { formatSecrets, openSecretSink } = await import('../ui/password-file.js');
    const { flags, progress } = this;
    await using sink = await openSecretSink(flags['password-file'], { disk: plan.output, progress });
    const { work } = context;
    const means = { ...context, ...randomness(plan.seed), image: plan.output };
    const result = await withCloudInitDisk(work.cloudInitDisk, means, () => runBuild(plan, context));
    const cloudInitDisk = work.cloudInitDisk?.path;
    const secrets = await sink.keep(result.secrets);
    if (!flags.quiet) this.log(formatBuildSummary({ ...result, cloudInitDisk }, plan));
    if (secrets.length > 0) this.log(formatSecrets(secrets).trimEnd());
    return {
      ...result,
      cloudInitDisk,
      secrets,
      resize: summarizeResizePlan(result.resize),
      template: plan.template,
    };
  }

  /** Making a template needs the network, and is no part of looking at a plan or of using given sources. */
  private recipePolicy(): 'make' | 'mention' | 'ignore' {
    const { flags } = this;
    if (!flags['template-build'] || flags.source !== undefined || flags.offline) return 'ignore';
    return flags['dry-run'] ? 'mention' : 'make';
  }

  private async openTemplates(): Promise<OpenedTemplates> {
    const { openTemplates } = await import('../build/open-templates.js');
    const { templateQuery } = await import('../ui/template-query.js');
    return openTemplates(templateQuery(this.flags, this));
  }
}
