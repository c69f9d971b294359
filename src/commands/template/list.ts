import { BaseCommand } from '../../base-command.js';

export default class TemplateList extends BaseCommand<typeof TemplateList> {
  static override summary = 'List the recipes of templates with their layouts, and which have been made.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --json | jq -r ".recipes[].name"',
  ];

  protected override async execute(): Promise<unknown> {
    const { loadAllRecipes } = await import('../../build/template/recipe.js');
    const { localRepositoryPlace } = await import('../../build/template/build.js');
    const { publishedTemplates } = await import('../../index-repo/publish.js');
    const { dataFolder } = await import('../../index-repo/user-folders.js');
    const place = localRepositoryPlace(dataFolder());
    const published = await publishedTemplates(place);
    const recipes = [];
    for (const { name, fullName, arch, layout } of await loadAllRecipes()) {
      const entry = published.find((section) => section.name === name && section.arch === arch);
      recipes.push({
        ...{ name, fullName, arch, layout },
        ...{ published: entry !== undefined, revision: entry?.revision },
      });
      const state = entry ? `revision ${entry.revision}` : 'not made yet';
      this.log(`${name.padEnd(24)} ${arch.padEnd(10)} ${layout.padEnd(14)} ${state.padEnd(14)} ${fullName}`);
    }
    return { repository: place.dir, recipes };
  }
}
