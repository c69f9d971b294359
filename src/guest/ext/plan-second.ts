import { TsbuilderError } from '../../errors.js';
import type { FileContent } from '../guest.js';
import { pathText } from '../resolve-path.js';
import { type BaseFilesystem, entryId, openTree } from '../tree.js';
import { inodeWord, scriptLine } from './debugfs-script.js';
import type { SecondScript } from './plan-commit.js';
import { setAttributes } from './script-attributes.js';

/** A debugfs script and the files that it expects in its working folder. */
export interface Script {
  readonly script: readonly string[];
  readonly inputs: ReadonlyMap<string, FileContent>;
}

/**
 * The second script of a commit: attributes of files that the first one has made, by the numbers that they have in `base` now. It
 * has no name in it.
 *
 * @param now the present, seconds since 1970
 * @throws TSB_GUEST when a file is missing
 */
export async function planSecond(base: BaseFilesystem, plan: SecondScript, now: number): Promise<Script> {
  const tree = openTree(base, now);
  const made = { script: [] as string[], inputs: new Map<string, FileContent>() };
  for (const { path, node, links } of plan.files) {
    const word = inodeWord(await numberOf(tree, path));
    if (links > 1) made.script.push(scriptLine('sif', word, 'links_count', links));
    setAttributes(made, node, { word, now });
  }
  made.script.push(...plan.script);
  return made;
}

async function numberOf(tree: ReturnType<typeof openTree>, path: readonly string[]): Promise<number> {
  let folder = await tree.root();
  for (const [index, name] of path.entries()) {
    const id = entryId((await tree.entries(folder)).entries.get(name));
    if (id === undefined) break;
    if (index === path.length - 1) return id;
    folder = await tree.node(id);
  }
  throw new TsbuilderError('TSB_GUEST', `${tree.base.name}: after the change ${pathText(path)} is missing`);
}
