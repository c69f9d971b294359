import type { RecipeFile } from './schema.js';
import { textFile } from './text-file.js';

/** How GRUB finds and starts the system. */
export interface GrubEntry {
  readonly title: string;
  /** UUID of the root filesystem. */
  readonly root: string;
  readonly kernelArguments: readonly string[];
}

/** The first `/boot/grub/grub.cfg`; it serves until the guest's own update-grub replaces it, at the first update of a kernel. */
export function grubConfiguration({ title, root, kernelArguments }: GrubEntry): RecipeFile {
  return textFile('/boot/grub/grub.cfg', [
    'set timeout=1',
    'serial --unit=0 --speed=115200',
    'terminal_input console serial',
    'terminal_output console serial',
    `search --no-floppy --fs-uuid --set=root ${root}`,
    `menuentry '${title.replaceAll("'", '')}' {`,
    `  linux /vmlinuz ${kernelArguments.join(' ')}`,
    '  initrd /initrd.img',
    '}',
  ]);
}

/** What the signed GRUB reads first: it only points to the configuration on the root filesystem. */
export function espGrubConfiguration(root: string): string {
  return [
    `search.fs_uuid ${root} root`,
    'set prefix=($root)/boot/grub',
    'configfile $prefix/grub.cfg',
    '',
  ].join('\n');
}
