import { EXIT, TsbuilderError } from '../errors.js';
import type { TemplateCache } from '../index-repo/template-cache.js';
import type { TemplateEntry } from '../index-repo/template-entry.js';
import { dataFolder } from '../index-repo/user-folders.js';
import type { Progress } from '../progress.js';
import type { OpenedTemplates } from './open-templates.js';

/** What template is wanted, and whether it may be made here. */
export interface TemplateWanted {
  readonly name: string;
  readonly arch: string | undefined;
  /** Make it from its recipe when no source has it. */
  readonly recipes: boolean;
  readonly jobs: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * The entry for the wanted template. Where no source serves it but a recipe of that name comes with the program, the template is
 * made first and added to the local repository.
 *
 * @param open reads the indexes; called again after a template has been made
 * @throws TSB_NOT_FOUND, and the codes of loading indexes and of making templates
 */
export async function templateOrRecipe(
  open: () => Promise<OpenedTemplates>,
  wanted: TemplateWanted,
): Promise<{ entry: TemplateEntry; cache: TemplateCache }> {
  try {
    return await choose(open, wanted);
  } catch (error) {
    if (!wanted.recipes || !isAbsence(error) || !(await isRecipe(wanted.name))) throw error;
    wanted.progress.warn(
      `no source serves ${wanted.name}; making it from its recipe, which takes some minutes, once`,
    );
    await makeTemplate(wanted);
    return choose(open, wanted);
  }
}

async function choose(
  open: () => Promise<OpenedTemplates>,
  { name, arch }: TemplateWanted,
): Promise<{ entry: TemplateEntry; cache: TemplateCache }> {
  const templates = await open();
  return { entry: templates.select(name, arch), cache: templates.cache };
}

/** Whether the template is merely not to be had: a bad signature is never answered by doing something else. */
function isAbsence(error: unknown): boolean {
  if (!(error instanceof TsbuilderError)) return false;
  return error.exit === EXIT.notFound || error.exit === EXIT.network;
}

async function isRecipe(name: string): Promise<boolean> {
  const { hasRecipe } = await import('./template-recipe.js');
  return hasRecipe(name);
}

async function makeTemplate({ name, jobs, progress, signal }: TemplateWanted): Promise<void> {
  const { loadRecipe } = await import('./template-recipe.js');
  const { runTemplateBuild } = await import('./template-build.js');
  await runTemplateBuild({ recipe: await loadRecipe(name), dataDir: dataFolder(), jobs, progress, signal });
}
