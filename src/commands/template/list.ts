import { BaseCommand } from '../../base-command.js';

export default class TemplateList extends BaseCommand<typeof TemplateList> {
  static override summary = 'List the recipes of templates, and which of them have been made.';
  static override examples = ['<%= config.bin %> <%= command.id %>'];

  protected override async execute(): Promise<unknown> {
    const { loadRecipe, recipeNames } = await import('../../build/template-recipe.js');
    const { localRepositoryPlace } = await import('../../build/template-build.js');
    const { publishedTemplates } = await import('../../index-repo/publish.js');
    const { dataFolder } = await import('../../index-repo/user-folders.js');
    const place = localRepositoryPlace(dataFolder());
    const published = await publishedTemplates(place);
    const recipes = [];
    for (const recipeName of await recipeNames()) {
      const { name, fullName, arch } = await loadRecipe(recipeName);
      const entry = published.find((section) => section.name === name && section.arch === arch);
      recipes.push({ name, fullName, arch, published: entry !== undefined, revision: entry?.revision });
      const state = entry ? `revision ${entry.revision}` : 'not made yet';
      this.log(`${name.padEnd(24)} ${arch.padEnd(10)} ${state.padEnd(14)} ${fullName}`);
    }
    return { repository: place.dir, recipes };
  }
}
