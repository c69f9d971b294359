import { makeExt4 } from './ext4.js';
import type { RootVolume } from './root-volume.js';
import { rootUuid } from './root-volume.js';

/** Discoverable Partitions Specification. */
export const ROOT_X86_64_TYPE = '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709';

/** A partition that is an ext4 filesystem. */
export const ext4Root: RootVolume = {
  partitionType: ROOT_X86_64_TYPE,
  device: (context) => `UUID=${rootUuid(context)}`,
  smallest: 64 * 1024 ** 2,
  mount: 'ext4 errors=remount-ro 0 1',
  make: (context, { disk, ...place }, tar) =>
    makeExt4(context, { disk, ...place, label: 'root', uuid: rootUuid(context) }, tar),
};
