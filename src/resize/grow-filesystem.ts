import { TsbuilderError } from '../errors.js';
import { assertGuestfish } from '../io/guestfish.js';
import { openFileSource } from '../io/file-source.js';
import { formatSize } from '../io/format-size.js';
import type { Progress } from '../progress.js';
import { type GrowOptions, assertSoundExt, growExt, placeOf } from './grow-ext.js';
import { growWithGuestfish } from './grow-guestfish.js';
import { growSwap } from './grow-swap.js';
import { readVolumeGroup } from '../probe/lvm.js';
import { withPlainPath } from './plain-path.js';
import { probeContent } from '../probe/probe-content.js';
import type { GrowStep, ResizePlan } from './resize-plan.js';
import type { Content } from '../probe/superblocks.js';

/** What became of one step. Sizes in bytes. */
export interface GrowResult {
  /** 0 when the disk has no partition table. */
  readonly partition: number;
  /** `ext4`, `swap`, `LVM2_member` ... */
  readonly name: string;
  readonly oldSize: number;
  readonly newSize: number;
  /** Free space afterwards, where the superblock tells (ext, XFS, btrfs). */
  readonly freeBytes?: number | undefined;
  /** The logical volume that got the space. */
  readonly volume?: string | undefined;
}

/** How to grow. */
interface GrowFilesystemsOptions extends GrowOptions {
  readonly progress: Progress;
}

function needsGuestfish({ content }: GrowStep): boolean {
  return content !== 'ext' && content !== 'swap';
}

/**
 * Makes sure that the tools which `plan` needs are installed: worth a call before the disk is written.
 *
 * @throws TSB_TOOL_MISSING naming the package
 */
export async function assertGrowTools(plan: ResizePlan, signal?: AbortSignal): Promise<void> {
  const steps = plan.grow.filter(needsGuestfish);
  if (steps.length === 0) return;
  await assertGuestfish(`growing ${steps.map(({ name }) => name).join(' and ')}`, signal);
}

/**
 * Checks the ext2/3/4 filesystems that `plan` grows where they are now, before any of the plan has been carried out on the disk
 * itself.
 *
 * @throws TSB_FILESYSTEM for damage, TSB_TOOL_MISSING
 */
export async function assertSoundFilesystems(
  plan: ResizePlan,
  diskPath: string,
  options: GrowFilesystemsOptions,
): Promise<void> {
  const steps = plan.grow.filter(({ content }) => content === 'ext');
  await withPlainPath(diskPath, async (disk) => {
    for (const step of steps) {
      const change = plan.changes.find(({ partition }) => partition === step.partition);
      const present = { ...step, offset: change?.from.offset ?? step.offset };
      await inStep(options.progress, `Checking ${step.name} on ${placeOf(step)}`, () =>
        assertSoundExt(disk, present, options),
      );
    }
  });
}

/**
 * Grows the filesystems of `plan` inside the raw disk at `diskPath`, after the plan's copies and tables are written.
 * ext2/3/4 by e2fsprogs and swap by us, in the file; the others in one libguestfs session. Each is read back afterwards.
 *
 * @throws TSB_FILESYSTEM for damage, a failed step or one that had no effect, TSB_TOOL_MISSING naming the package
 */
export async function growFilesystems(
  plan: ResizePlan,
  diskPath: string,
  options: GrowFilesystemsOptions,
): Promise<GrowResult[]> {
  if (plan.grow.length === 0) return [];
  const { progress, signal } = options;
  return withPlainPath(diskPath, async (disk) => {
    for (const step of plan.grow.filter((one) => !needsGuestfish(one)))
      await inStep(progress, `Growing ${step.name} on ${placeOf(step)}`, () =>
        step.content === 'ext' ? growExt(disk, step, options) : growSwap(disk, step, signal),
      );
    const others = plan.grow.filter(needsGuestfish);
    if (others.length > 0)
      await inStep(progress, `Growing ${others.map(({ name }) => name).join(', ')} with libguestfs`, () =>
        growWithGuestfish({ path: disk, sectorSize: plan.sectorSize }, others, options),
      );
    return readBack(disk, plan.grow, signal);
  });
}

async function inStep(progress: Progress, label: string, work: () => Promise<void>): Promise<void> {
  const step = progress.step(label);
  try {
    await work();
  } finally {
    step[Symbol.dispose]();
  }
}

async function readBack(
  disk: string,
  steps: readonly GrowStep[],
  signal?: AbortSignal,
): Promise<GrowResult[]> {
  await using source = await openFileSource(disk);
  const results: GrowResult[] = [];
  for (const step of steps) {
    const content = await probeContent(source, step, signal);
    const group = step.content === 'lvm-pv' ? await readVolumeGroup(source, step, signal) : undefined;
    results.push(resultOf(step, group ? { ...content, size: group.physicalSize } : content));
  }
  return results;
}

// What growing may leave over: a partial ext block group, XFS allocation group or LVM extent.
const LEFT_OVER = 160 * 1024 * 1024;

function resultOf(step: GrowStep, content: Content): GrowResult {
  const { partition, name, oldSize, length } = step;
  const newSize = content.size ?? 0;
  if (content.kind !== step.content || newSize > length || newSize < Math.max(oldSize, length - LEFT_OVER))
    throw new TsbuilderError(
      'TSB_FILESYSTEM',
      `the ${name} on ${placeOf(step)} has ${formatSize(newSize)} (${newSize} bytes) after growing it to ${formatSize(length)} (${length} bytes)`,
      { details: { partition, newSize, length } },
    );
  return { partition, name, oldSize, newSize, freeBytes: content.freeBytes, volume: step.volume?.device };
}
