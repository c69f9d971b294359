import { TsbuilderError } from '../../errors.js';
import { LAYOUT_NAMES, type LayoutName } from './layout-names.js';
import type { Recipe } from './schema.js';

/** A recipe in one of its layouts, and which others it can have. */
export type RecipeInLayout = Omit<Recipe, 'layouts'> & { readonly layouts: readonly LayoutName[] };

/**
 * The recipe from the file `path` in a layout, by default its usual one: with the packages and answers that the layout needs.
 * In another layout than the usual one its names end in the layout's, so that both can be in one index.
 *
 * @throws TSB_NOT_FOUND when the recipe does not have the layout
 */
export function chooseLayout(
  recipe: Recipe,
  path: string,
  layout: LayoutName = recipe.layout,
): RecipeInLayout {
  const layouts = layoutsOf(recipe);
  if (!layouts.includes(layout)) {
    throw new TsbuilderError('TSB_NOT_FOUND', `${path}: has no layout ${layout}`, {
      hint: `It has: ${layouts.join(', ')}.`,
    });
  }
  const { packages = [], preseed = [] } = recipe.layouts[layout] ?? {};
  const { debian } = recipe;
  return {
    ...recipe,
    ...(layout === recipe.layout ? {} : namedAfter(layout, recipe)),
    layout,
    layouts,
    debian: {
      ...debian,
      packages: [...debian.packages, ...packages],
      preseed: [...debian.preseed, ...preseed],
    },
  };
}

function layoutsOf({ layout, layouts }: Recipe): LayoutName[] {
  const named = LAYOUT_NAMES.filter((name) => layouts[name] !== undefined);
  return [...new Set([layout, ...named])];
}

function namedAfter(layout: LayoutName, { name, fullName, aliases }: Recipe): Partial<Recipe> {
  return {
    name: `${name}-${layout}`,
    fullName: `${fullName}, ${layout}`,
    aliases: aliases.map((alias) => `${alias}-${layout}`),
  };
}
