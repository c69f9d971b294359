import type { TemplateContext } from './context.js';
import { gptUefi } from './layout-gpt-uefi.js';
import { mbrSwapLast } from './layout-mbr-swap-last.js';
import type { LayoutName } from './layout-names.js';
import { ext4Root } from './root-ext4.js';
import { lvmRoot } from './root-lvm.js';
import { xfsRoot } from './root-xfs.js';
import type { RecipeFile } from './schema.js';

/** How a template's disk is divided and how it boots. */
export interface Layout {
  /** The partition to grow, as an index names it. */
  readonly expand: string;
  /** The logical volume to grow in it, as an index names it. */
  readonly lvexpand?: string | undefined;
  /** Shell commands that are run in the tree before the recipe's script. */
  readonly script?: string;
  /** Files that go into the tree because of the layout: the filesystem table, the boot loader's configuration. */
  files(context: TemplateContext): RecipeFile[];
  /** Makes the disk, a sparse file at `disk`, from the tree in the tar file `tar`. */
  makeDisk(context: TemplateContext, disk: string, tar: string): Promise<void>;
}

const LAYOUTS: Readonly<Record<LayoutName, Layout>> = {
  'gpt-uefi': gptUefi(ext4Root),
  'mbr-swap-last': mbrSwapLast,
  lvm: gptUefi(lvmRoot),
  xfs: gptUefi(xfsRoot),
};

/** The layout called `name`. */
export function layoutNamed(name: LayoutName): Layout {
  return LAYOUTS[name];
}
