import type { BootSupport } from '../build/boot-support.js';
import type { InspectedDisk, InspectedSystem, InspectedVolume } from '../build/inspect-image.js';
import { formatSize } from '../io/format-size.js';
import { printable } from '../io/printable.js';
import { formatTable } from './table.js';

/** What `tsbuilder inspect` prints. Texts from the disk are escaped for the terminal. */
export function formatInspection(disk: InspectedDisk): string {
  const table = disk.table === 'none' ? 'no partition table' : `partition table ${disk.table}`;
  const head = [
    ['Disk', printable(disk.name)],
    ['Size', `${formatSize(disk.size)}, ${table}`],
    ['Boots by', bootText(disk.boot)],
  ];
  const systems = disk.systems.length === 0 ? [noSystem(disk.volumes)] : disk.systems.map(formatSystem);
  const problems = disk.volumes.flatMap(({ id, problem }) =>
    problem === undefined ? [] : [`${nameOf(id)}: ${printable(problem)}`],
  );
  return [
    labelled(head).join('\n'),
    ...systems,
    formatVolumes(disk.volumes),
    ...(problems.length > 0 ? [['Problems', ...problems].join('\n  ')] : []),
  ].join('\n\n');
}

function labelled(lines: readonly (readonly string[])[]): string[] {
  return formatTable(lines.map(([label = '', value = '']) => [`${label}:`, value]));
}

const nameOf = (id: string): string => {
  if (id.includes('/')) return `LVM volume ${printable(id)}`;
  return id === '0' ? 'whole disk' : `partition ${id}`;
};

function bootText({ uefi, bios, biosLoader }: BootSupport): string {
  const ways = [
    ...(uefi ? ['UEFI'] : []),
    ...(bios ? [`BIOS${biosLoader === undefined ? '' : ` (${biosLoader})`}`] : []),
  ];
  return ways.length === 0 ? 'nothing on the disk itself' : ways.join(', ');
}

function formatSystem(system: InspectedSystem): string {
  const title = `${printable(system.productName ?? 'Linux')} on ${nameOf(system.root)}`;
  const { mounts } = system;
  const rows = mounts.map(({ mountPoint, device, type, volume, problem }) => {
    const where = volume === undefined ? '' : nameOf(volume);
    return [mountPoint, device, type, where, problem === undefined ? '' : `not looked into: ${problem}`].map(
      printable,
    );
  });
  const parts = [...labelled(systemLines(system)), 'Mounts:', ...formatTable(rows).map((row) => `  ${row}`)];
  return [title, ...parts.map((line) => `  ${line}`)].join('\n');
}

function systemLines(system: InspectedSystem): string[][] {
  const { distro, version, codename, selinux, packageManager, kernels, bootLoaders } = system;
  const name = codename === undefined || codename === '' ? '' : ` (${codename})`;
  return [
    ['Distribution', `${distro ?? 'unknown'} ${version ?? ''}${name}`],
    ['Architecture', system.arch ?? 'unknown'],
    ['Host name', system.hostname ?? 'not set'],
    ['Init', system.init],
    [
      'Packages',
      packageManager === undefined ? 'no package manager' : `${packageManager}${packageCount(system)}`,
    ],
    ['Kernels', kernels.length === 0 ? 'none' : kernels.map(kernelText).join(', ')],
    ['Boot loader', bootLoaders.length === 0 ? 'none found' : bootLoaders.join(', ')],
    ['Machine-id', system.machineId],
    ['SELinux', selinux ? `${selinux.mode} (${selinux.policy})` : 'no'],
    ['cloud-init', system.cloudInit ? 'yes' : 'no'],
  ].map((line) => line.map(printable));
}

function packageCount({ packages }: InspectedSystem): string {
  if (!packages) return '';
  return packages.count === undefined
    ? ` (${packages.format})`
    : `, ${packages.count} ${packages.format} packages`;
}

function kernelText({ version, boot, modules }: InspectedSystem['kernels'][number]): string {
  if (boot && modules) return version;
  return `${version} (${boot ? 'no modules' : 'not in /boot'})`;
}

function formatVolumes(volumes: readonly InspectedVolume[]): string {
  if (volumes.length === 0) return 'There is no partition and no filesystem that is known.';
  const rows = volumes.map((volume) => [
    volume.id === '0' ? 'disk' : printable(volume.id),
    formatSize(volume.size),
    volume.content,
    volume.used === undefined ? '' : formatSize(volume.used),
    volume.free === undefined ? '' : formatSize(volume.free),
    printable(volume.label ?? volume.partitionName ?? ''),
    printable(volume.uuid ?? ''),
    volume.purpose ?? '',
  ]);
  const heading = ['Volume', 'Size', 'Content', 'Used', 'Free', 'Label', 'UUID', 'Purpose'];
  return formatTable([heading, ...rows], [1, 3, 4]).join('\n');
}

const SIGNS: readonly { readonly is: (volume: InspectedVolume) => boolean; readonly what: string }[] = [
  {
    is: ({ content, purpose }) => content === 'ntfs' || purpose?.startsWith('Windows') === true,
    what: 'Windows',
  },
  { is: ({ purpose }) => /BSD/.test(purpose ?? ''), what: 'a BSD system' },
  {
    is: ({ content }) => content === 'crypto_LUKS',
    what: 'an encrypted system, which cannot be looked into',
  },
  {
    is: ({ content, problem }) => ['xfs', 'btrfs', 'LVM2_member'].includes(content) || problem !== undefined,
    what: 'a system on a filesystem that only libguestfs reads (virt-inspector)',
  },
  { is: ({ content }) => content === 'iso9660', what: 'an installation or live medium' },
];

/** What else the disk may be, from what its partitions hold. */
function noSystem(volumes: readonly InspectedVolume[]): string {
  const signs = SIGNS.flatMap(({ is, what }) => {
    const found = volumes.filter(is).map(({ id }) => nameOf(id));
    return found.length === 0 ? [] : [`${found.join(' and ')} may belong to ${what}`];
  });
  return ['No Linux system was found on an ext2, ext3 or ext4 filesystem.', ...signs].join('\n  ');
}
