import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuilderError, errnoOf, messageOf } from '../../errors.js';
import { chooseLayout } from './choose-layout.js';
import type { LayoutName } from './layout-names.js';
import type { Recipe } from './schema.js';

/** The recipes that come with the program: the same folder from `src` and from `dist`. */
const RECIPES_FOLDER = join(import.meta.dirname, '..', '..', '..', 'templates');

const LONGEST = 1024 * 1024;

/** A recipe in one of its layouts. */
export interface LoadedRecipe extends Omit<Recipe, 'layouts'> {
  readonly path: string;
  /** What it was read from: everything that is to be the same in every build is derived from this and the layout. */
  readonly text: string;
  /** All layouts that it can have, the usual one first. */
  readonly layouts: readonly LayoutName[];
}

/** Where a recipe is looked for, and in which layout it is wanted. */
export interface RecipeChoice {
  /** Default: the recipes that come with the program. */
  readonly folder?: string;
  /** Default: the recipe's usual one. */
  readonly layout?: LayoutName | undefined;
}

/** The names of the recipes in `folder`, sorted. */
export async function recipeNames(folder: string = RECIPES_FOLDER): Promise<string[]> {
  const names = await readdir(folder);
  return names
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => name.slice(0, -'.yaml'.length))
    .sort();
}

/**
 * The recipe called `name`, or the recipe in the file `name` when that is a path (it has a slash or ends in `.yaml`).
 *
 * @throws TSB_NOT_FOUND when there is none or it does not have the layout, TSB_RECIPE_INVALID as `parseRecipe`
 */
export async function loadRecipe(
  name: string,
  { folder = RECIPES_FOLDER, layout }: RecipeChoice = {},
): Promise<LoadedRecipe> {
  if (name.includes('/') || name.endsWith('.yaml')) return readRecipe(name, layout);
  const names = await recipeNames(folder);
  if (!names.includes(name)) {
    throw new TsbuilderError('TSB_NOT_FOUND', `there is no template recipe called ${JSON.stringify(name)}`, {
      hint: `Recipes here: ${names.join(', ')}. A path to a YAML file works too.`,
    });
  }
  return readRecipe(join(folder, `${name}.yaml`), layout);
}

/** Every recipe in `folder` in each of its layouts, sorted by name, the usual layout first. */
export async function loadAllRecipes(folder: string = RECIPES_FOLDER): Promise<LoadedRecipe[]> {
  const found: LoadedRecipe[] = [];
  for (const name of await recipeNames(folder)) {
    const usual = await loadRecipe(name, { folder });
    found.push(usual);
    for (const layout of usual.layouts.slice(1)) found.push(await loadRecipe(name, { folder, layout }));
  }
  return found;
}

async function readRecipe(path: string, layout: LayoutName | undefined): Promise<LoadedRecipe> {
  try {
    return await parseRecipe(path, await readFile(path, 'utf8'), layout);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT')
      throw new TsbuilderError('TSB_NOT_FOUND', `${path}: no such recipe`, { cause: error });
    throw error;
  }
}

/**
 * Reads the YAML text of a recipe, checks it against the schema (docs/templates.md) and puts it in the layout asked for.
 *
 * @throws TSB_NOT_FOUND when it does not have the layout; TSB_RECIPE_INVALID naming the path, the line, the column and the field of the first faults
 */
export async function parseRecipe(path: string, text: string, layout?: LayoutName): Promise<LoadedRecipe> {
  const [yaml, { safeParse }, { recipeSchema }] = await Promise.all([
    import('yaml'),
    import('valibot'),
    import('./schema.js'),
  ]);
  if (text.length > LONGEST) throw invalid(path, [`is longer than ${LONGEST} characters`]);
  const lines = new yaml.LineCounter();
  const document = yaml.parseDocument(text, { lineCounter: lines });
  const position = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `line ${line}, column ${col}`;
  };
  const [syntax] = document.errors;
  if (syntax) throw invalid(path, [`${position(syntax.pos[0])}: ${syntax.message.split('\n')[0] ?? ''}`]);
  const result = safeParse(recipeSchema, plainValue(path, document));
  if (result.success) return { ...chooseLayout(result.output, path, layout), path, text };
  throw invalid(
    path,
    result.issues.slice(0, 5).map((issue) => {
      const keys = (issue.path ?? []).map((item) => item.key);
      return `${position(offsetOf(document, keys))}: ${keys.join('.')}: ${issue.message}`;
    }),
  );
}

function plainValue(path: string, document: { toJS(options: { maxAliasCount: number }): unknown }): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw invalid(path, [messageOf(error)]);
  }
}

/** Where the value at `keys` begins in the text, or the nearest part around it that is there. */
function offsetOf(
  document: { getIn(path: readonly unknown[], keepScalar: boolean): unknown },
  keys: readonly unknown[],
): number {
  for (let length = keys.length; length > 0; length -= 1) {
    const node = document.getIn(keys.slice(0, length), true);
    if (hasRange(node)) return node.range[0];
  }
  return 0;
}

function hasRange(node: unknown): node is { range: [number, number, number] } {
  return typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range);
}

function invalid(path: string, faults: readonly string[]): TsbuilderError {
  return new TsbuilderError('TSB_RECIPE_INVALID', `${path}: ${faults.join('\n  ')}`, {
    hint: 'The format of recipes is described in docs/templates.md.',
    details: { path },
  });
}
