import { makeExt4 } from './ext4.js';
import { logicalVolumePlace, physicalVolumeStart } from './lvm-volume.js';
import { type Place, writePieces } from './partition.js';
import { type RootVolume, rootUuid } from './root-volume.js';

/** UEFI specification, as sfdisk lists it: Linux LVM. */
const LVM_TYPE = 'E6D6D379-F507-44C2-A23C-238F2A3DF928';
const GROUP = 'system';
const VOLUME = 'root';

/** A physical volume of LVM, all of which is one logical volume, which is an ext4 filesystem. */
export const lvmRoot: RootVolume = {
  partitionType: LVM_TYPE,
  device: () => `/dev/mapper/${GROUP}-${VOLUME}`,
  smallest: 64 * 1024 ** 2,
  mount: 'ext4 errors=remount-ro 0 1',
  lvexpand: `/dev/${GROUP}/${VOLUME}`,
  async make(context, { disk, offset, length }, tar) {
    const { identity } = context;
    const spec = {
      ...{ group: GROUP, volume: VOLUME, length, epoch: identity.epoch },
      ids: {
        group: identity.lvmId('volume group'),
        physical: identity.lvmId('physical volume'),
        logical: identity.lvmId('logical volume'),
      },
    };
    const inside: Place = logicalVolumePlace(length);
    const place = { offset: offset + inside.offset, length: inside.length };
    await makeExt4(context, { disk, ...place, label: 'root', uuid: rootUuid(context) }, tar);
    await writePieces(disk, [{ offset, data: physicalVolumeStart(spec) }]);
  },
};
