import type { TemplateContext } from './template-context.js';
import { gptUefi } from './template-gpt-uefi.js';
import type { Recipe, RecipeFile } from './template-schema.js';

/** How a template's disk is divided and how it boots. */
export interface Layout {
  /** The partition to grow, as an index names it. */
  readonly expand: string;
  /** Files that go into the tree because of the layout: the filesystem table, the boot loader's configuration. */
  files(context: TemplateContext): RecipeFile[];
  /** Makes the disk, a sparse file at `disk`, from the tree in the tar file `tar`. */
  makeDisk(context: TemplateContext, disk: string, tar: string): Promise<void>;
}

const LAYOUTS: Readonly<Record<Recipe['layout'], Layout>> = { 'gpt-uefi': gptUefi };

/** The layout called `name`. */
export function layoutNamed(name: Recipe['layout']): Layout {
  return LAYOUTS[name];
}
