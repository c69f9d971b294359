import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../base-command.js';
import { LAYOUT_NAMES } from '../../build/template/layout-names.js';
import { packJobsFlag } from '../../flags.js';

export default class TemplateBuild extends BaseCommand<typeof TemplateBuild> {
  static override summary = 'Make a template from its recipe and add it to the local signed repository.';
  static override description =
    "Installs the recipe's packages with mmdebstrap, makes a bootable disk without loop devices, compresses it into 16 MiB blocks and signs the index again. With SOURCE_DATE_EPOCH set, the same packages give the same bytes. The format of recipes: docs/templates.md.";
  static override examples = [
    '<%= config.bin %> <%= command.id %> debian-12',
    '<%= config.bin %> <%= command.id %> debian-12 --layout lvm',
    'SOURCE_DATE_EPOCH=1790000000 <%= config.bin %> <%= command.id %> tiny',
    '<%= config.bin %> <%= command.id %> ./my-os.yaml --mirror http://mirror.example.com/debian',
  ];
  static override args = {
    recipe: Args.string({
      description: 'name of a recipe (tsbuilder template list) or path of a YAML file',
      required: true,
      ignoreStdin: true,
    }),
  };
  static override flags = {
    layout: Flags.option({ options: LAYOUT_NAMES })({
      description:
        'how the disk is divided, for a recipe that has several ways; in another than its usual one the template is called NAME-LAYOUT',
    }),
    mirror: Flags.string({
      helpValue: 'URL',
      description: "package mirror to use (default: what this machine's apt uses, else the recipe's)",
    }),
    'security-mirror': Flags.string({ helpValue: 'URL', description: 'the same for security updates' }),
    jobs: packJobsFlag,
  };

  protected override async execute(): Promise<unknown> {
    const { loadRecipe } = await import('../../build/template/recipe.js');
    const { runTemplateBuild } = await import('../../build/template/build.js');
    const { dataFolder } = await import('../../index-repo/user-folders.js');
    const { encodeJobs } = await import('../../io/native.js');
    const { formatSize } = await import('../../io/format-size.js');
    const { args, flags, progress, signal } = this;
    const recipe = await loadRecipe(args.recipe, { layout: flags.layout });
    const { repository, ...result } = await runTemplateBuild({
      recipe,
      dataDir: dataFolder(),
      mirrors: { mirror: flags.mirror, securityMirror: flags['security-mirror'] },
      jobs: encodeJobs(flags.jobs),
      progress,
      signal,
    });
    if (!flags.quiet) {
      this.log(
        `${recipe.name} (${recipe.arch}, revision ${result.revision}): ${result.path}, ${formatSize(result.compressedSize)}`,
      );
      this.log(`Signed by ${repository.fingerprint}: ${repository.indexPath}`);
    }
    return {
      name: recipe.name,
      arch: recipe.arch,
      layout: recipe.layout,
      ...result,
      index: repository.indexPath,
      fingerprint: repository.fingerprint,
    };
  }
}
