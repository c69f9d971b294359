import type { TemplateContext } from './context.js';
import type { Place } from './partition.js';

/** What the root partition of a template holds. */
export interface RootVolume {
  /** Type of a GPT partition that holds it. */
  readonly partitionType: string;
  /** The device as the kernel's `root=` and fstab(5) name it. */
  readonly device: (context: TemplateContext) => string;
  /** What follows the mount point in fstab: type, options, dump and fsck. */
  readonly mount: string;
  /** The least length of a partition that holds it, in bytes. */
  readonly smallest: number;
  /** The logical volume to grow, as an index names it. */
  readonly lvexpand?: string;
  /** Makes it at a place of the disk, from the tree in the tar file `tar`. */
  readonly make: (context: TemplateContext, at: Place & { disk: string }, tar: string) => Promise<void>;
}

/** The UUID of the template's root filesystem, whatever that is on. */
export function rootUuid({ identity }: TemplateContext): string {
  return identity.uuid('root filesystem');
}
