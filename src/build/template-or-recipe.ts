import { parse } from 'node:path';
import { EXIT, TsbuilderError } from '../errors.js';
import { hostArchitecture, normaliseArchitecture } from '../index-repo/architecture.js';
import type { TemplateCache } from '../index-repo/template-cache.js';
import type { TemplateEntry } from '../index-repo/template-entry.js';
import { dataFolder } from '../index-repo/user-folders.js';
import { formatSize } from '../io/format-size.js';
import type { Progress } from '../progress.js';
import type { OpenedTemplates } from './open-templates.js';
import type { LoadedRecipe } from './template/recipe.js';

/** What template is wanted, and whether it may be made here. */
export interface TemplateWanted {
  readonly name: string;
  readonly arch: string | undefined;
  /** What to do when no source has it but a recipe does: make it, only say so (a dry run), or neither. */
  readonly recipes: 'make' | 'mention' | 'ignore';
  /** Whether a template of this virtual size fits what is to be made of it. */
  readonly fits: (templateSize: number) => boolean;
  readonly jobs: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** The entry to build from. */
export interface ChosenTemplate {
  readonly entry: TemplateEntry;
  /** What other sources have under its name. */
  readonly rivals: readonly TemplateEntry[];
  readonly cache: TemplateCache;
}

/**
 * The entry for the wanted template. Where no source serves it but a recipe of that name and architecture comes with the
 * program, the template is made first and added to the local repository.
 *
 * @param open reads the indexes; called again after a template has been made
 * @throws TSB_NOT_FOUND, TSB_TOO_SMALL, and the codes of loading indexes and of making templates
 */
export async function templateOrRecipe(
  open: () => Promise<OpenedTemplates>,
  wanted: TemplateWanted,
): Promise<ChosenTemplate> {
  try {
    return await choose(open, wanted);
  } catch (error) {
    if (wanted.recipes === 'ignore' || !isAbsence(error)) throw error;
    const recipe = await findRecipe(wanted);
    if (!recipe) throw error;
    assertWorthMaking(wanted, recipe);
    wanted.progress.warn(
      `no source serves ${wanted.name} (${error.message}); making it from its recipe, which takes some minutes, once`,
    );
    await makeTemplate(wanted, recipe);
    return choose(open, { ...wanted, name: recipe.name });
  }
}

function assertWorthMaking({ name, recipes, fits }: TemplateWanted, recipe: LoadedRecipe): void {
  if (recipes === 'mention') {
    throw new TsbuilderError(
      'TSB_NOT_FOUND',
      `no source serves ${name}; a build would make it from its recipe first`,
      {
        hint: `Make it now, for this and later builds: ${buildCommand(recipe)}`,
      },
    );
  }
  if (fits(recipe.size)) return;
  throw new TsbuilderError(
    'TSB_TOO_SMALL',
    `${name} needs at least ${formatSize(recipe.size)} (${recipe.size} bytes)`,
    {
      hint: 'Templates can only grow: leave --size away or ask for more.',
    },
  );
}

/** What the user types to make the template of a recipe that comes with the program. */
function buildCommand({ path, layout, layouts }: LoadedRecipe): string {
  const option = layout === layouts[0] ? '' : ` --layout ${layout}`;
  return `tsbuilder template build ${parse(path).name}${option}`;
}

async function choose(
  open: () => Promise<OpenedTemplates>,
  { name, arch }: TemplateWanted,
): Promise<ChosenTemplate> {
  const templates = await open();
  const entry = templates.select(name, arch);
  return { entry, rivals: templates.rivals(entry), cache: templates.cache };
}

/** Whether the template is merely not to be had: a bad signature is never answered by doing something else. */
function isAbsence(error: unknown): error is TsbuilderError {
  if (!(error instanceof TsbuilderError)) return false;
  return error.exit === EXIT.notFound || error.exit === EXIT.network;
}

/** The recipe, in the layout, whose name or alias is wanted, if it is for the wanted architecture. */
async function findRecipe({ name, arch }: TemplateWanted): Promise<LoadedRecipe | undefined> {
  const { loadAllRecipes } = await import('./template/recipe.js');
  const machine = normaliseArchitecture(arch ?? hostArchitecture());
  return (await loadAllRecipes()).find(
    (recipe) =>
      (recipe.name === name || recipe.aliases.includes(name)) &&
      normaliseArchitecture(recipe.arch) === machine,
  );
}

async function makeTemplate({ jobs, progress, signal }: TemplateWanted, recipe: LoadedRecipe): Promise<void> {
  const { runTemplateBuild } = await import('./template/build.js');
  await runTemplateBuild({ recipe, dataDir: dataFolder(), jobs, progress, signal });
}
