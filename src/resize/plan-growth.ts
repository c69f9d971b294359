import { TsbuilderError } from '../errors.js';
import type { ByteSource } from '../io/byte-source.js';
import { formatSize } from '../io/format-size.js';
import { type Chosen, type GrowableKind, cannotGrow, isGrowable } from './choose-partition.js';
import { type LogicalVolume, type VolumeGroup, readVolumeGroup } from '../probe/lvm.js';
import type { Range } from './partition.js';
import { probeContent } from '../probe/probe-content.js';
import type { GrowStep } from './resize-plan.js';

/** What is grown inside the partition, and what the user should know about it. */
interface Growth {
  readonly steps: readonly GrowStep[];
  readonly notes: readonly string[];
}

interface GrowthRequest {
  readonly source: ByteSource;
  readonly lvexpand?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The steps that make the content of the partition as large as its new range.
 *
 * @throws TSB_FILESYSTEM for a filesystem that is larger than its partition, spans several disks or cannot be grown,
 *   TSB_PARTITION_NOT_FOUND for a logical volume that is not there, TSB_USAGE for a name that is none
 */
export async function planGrowth(request: GrowthRequest, chosen: Chosen & { grown: Range }): Promise<Growth> {
  const { source, lvexpand } = request;
  const { partition, content, grown } = chosen;
  if (!isGrowable(content.kind) || content.obstacle !== undefined)
    throw cannotGrow(source.name, partition.number, content);
  const oldSize = content.size ?? partition.length;
  if (!(oldSize <= partition.length)) throw tooLarge(source.name, chosen, oldSize);
  const step: GrowStep = {
    partition: partition.number,
    offset: grown.offset,
    length: grown.length,
    content: content.kind,
    name: content.name,
    oldSize,
  };
  if (content.kind === 'lvm-pv') return planVolume(request, chosen, step);
  const notes =
    lvexpand === undefined
      ? []
      : [`${lvexpand} is not grown: partition ${partition.number} is no LVM physical volume.`];
  return { steps: [step], notes };
}

function tooLarge(name: string, { partition, content }: Chosen, size: number): TsbuilderError {
  const where = partition.number === 0 ? 'the disk' : `partition ${partition.number}`;
  return new TsbuilderError(
    'TSB_FILESYSTEM',
    `${name}: the ${content.name} on ${where} is ${formatSize(size)} (${size} bytes) large, ${where} has only ${formatSize(partition.length)} (${partition.length} bytes)`,
    {
      hint: 'The disk was cut off or its table is wrong: get it again.',
      details: { partition: partition.number, size, length: partition.length },
    },
  );
}

async function planVolume(request: GrowthRequest, { partition }: Chosen, found: GrowStep): Promise<Growth> {
  const { source, lvexpand, signal } = request;
  const group = await readVolumeGroup(source, partition, signal);
  const step = { ...found, oldSize: group?.physicalSize ?? found.oldSize };
  if (lvexpand === undefined) {
    const note = `No logical volume is grown: the new space stays free in ${group ? `volume group ${group.name}` : 'the physical volume'}.`;
    return { steps: [step], notes: [note] };
  }
  const { device, name } = parseVolumeName(lvexpand, group);
  const volume = group?.volumes.find((one) => one.name === name);
  if (!group || !volume) throw noVolume(source.name, lvexpand, group);
  const { content, label } = await volumeContent(request, volume);
  return { steps: [{ ...step, volume: { device, content, name: label } }], notes: [] };
}

function noVolume(name: string, lvexpand: string, group: VolumeGroup | undefined): TsbuilderError {
  const known = group?.volumes.map((one) => `/dev/${group.name}/${one.name}`) ?? [];
  return new TsbuilderError('TSB_PARTITION_NOT_FOUND', `${name}: there is no logical volume ${lvexpand}`, {
    hint: known.length > 0 ? `The disk has ${known.join(', ')}.` : 'The disk has no logical volumes.',
  });
}

const NAME = '[A-Za-z0-9_.+][A-Za-z0-9_.+-]*';
const BY_GROUP = new RegExp(`^(?:/dev/)?(${NAME})/(${NAME})$`);
const MAPPED = /^\/dev\/mapper\/([A-Za-z0-9_.+-]+)$/;

/** `/dev/VG/LV`, `VG/LV`, or `/dev/mapper/VG-LV`, where the mapper doubles the hyphens of both names. */
function parseVolumeName(text: string, group: VolumeGroup | undefined): { device: string; name: string } {
  const mapped = MAPPED.exec(text)?.[1];
  const doubled = (name: string): string => name.replaceAll('-', '--');
  const volume = group?.volumes.find((one) => mapped === `${doubled(group.name)}-${doubled(one.name)}`);
  if (group && volume) return { device: `/dev/${group.name}/${volume.name}`, name: volume.name };
  const [, vg, lv] = BY_GROUP.exec(text) ?? [];
  if (lv !== undefined && vg !== undefined && mapped === undefined)
    return { device: `/dev/${vg}/${lv}`, name: vg === group?.name ? lv : '' };
  if (mapped !== undefined) return { device: text, name: '' };
  throw new TsbuilderError('TSB_USAGE', `"${text}" does not name a logical volume`, {
    hint: 'Write it as /dev/GROUP/VOLUME.',
  });
}

async function volumeContent(
  { source, signal }: GrowthRequest,
  volume: LogicalVolume,
): Promise<{ content: GrowableKind; label: string }> {
  const found =
    volume.start === undefined
      ? undefined
      : await probeContent(
          source,
          { offset: volume.start, length: Math.min(volume.size, source.size - volume.start) },
          signal,
        );
  const kind = found?.kind;
  if (found && (kind === 'ext' || kind === 'xfs' || kind === 'btrfs') && found.obstacle === undefined)
    return { content: kind, label: found.name };
  throw new TsbuilderError(
    'TSB_FILESYSTEM',
    `${source.name}: logical volume ${volume.name} holds ${found === undefined ? 'no plain segment on this disk' : found.name}, which cannot be grown`,
    { hint: 'Logical volumes with ext2/3/4, XFS or btrfs can be grown.' },
  );
}
