import type { TemplateContext } from './context.js';
import { espId, makeEsp } from './esp.js';
import { grubConfiguration } from './grub-config.js';
import type { Layout } from './layout.js';
import { type Place, assertFits, createDisk, partitionLine } from './partition.js';
import { type RootVolume, rootUuid } from './root-volume.js';
import { textFile } from './text-file.js';

const MIB = 1024 ** 2;
const ESP: Place = { offset: MIB, length: 128 * MIB };
/** UEFI specification 5.3.3. */
const ESP_TYPE = 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B';

/**
 * GPT with an EFI system partition and a root partition that is last, so that growing it moves nothing. UEFI firmware
 * starts shim from the removable-media path, shim starts GRUB, and GRUB finds its configuration on the root.
 */
export function gptUefi(root: RootVolume): Layout {
  return {
    expand: '/dev/sda2',
    lvexpand: root.lvexpand,
    files(context) {
      const { recipe } = context;
      const device = root.device(context);
      return [
        textFile('/etc/fstab', [
          `${device} / ${root.mount}`,
          `UUID=${espId(context)} /boot/efi vfat umask=0077 0 1`,
        ]),
        textFile('/boot/efi/.mountpoint', ['The EFI system partition is mounted over this.']),
        grubConfiguration({
          title: recipe.fullName,
          root: rootUuid(context),
          kernelArguments: [`root=${device}`, 'ro', ...recipe.kernelArguments],
        }),
      ];
    },
    async makeDisk(context, disk, tar) {
      const place = rootPlace(context);
      assertFits(context, place, root.smallest);
      await createDisk(context, disk, tableLines(context, root));
      await root.make(context, { disk, ...place }, tar);
      await makeEsp(context, { disk, place: ESP, tar, root: rootUuid(context) });
    },
  };
}

function rootPlace({ recipe }: TemplateContext): Place {
  const offset = ESP.offset + ESP.length;
  // The backup table needs 33 sectors at the end; a whole MiB keeps the end aligned.
  return { offset, length: recipe.size - offset - MIB };
}

function tableLines(context: TemplateContext, { partitionType }: RootVolume): string[] {
  const { identity } = context;
  return [
    'label: gpt',
    `label-id: ${identity.uuid('disk')}`,
    partitionLine(ESP, `type=${ESP_TYPE}, uuid=${identity.uuid('esp partition')}, name=esp`),
    partitionLine(
      rootPlace(context),
      `type=${partitionType}, uuid=${identity.uuid('root partition')}, name=root`,
    ),
  ];
}
