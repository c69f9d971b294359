import { dirname } from 'node:path';
import { EXIT, TsbuilderError } from '../errors.js';
import { isQcow2 } from '../image/qcow2-info.js';
import { openRawWriter } from '../image/raw-writer.js';
import type { TemplateHandle } from '../index-repo/template-cache.js';
import { openFileSource } from '../io/file-source.js';
import { assertFreeSpace } from '../io/free-space.js';
import { openScratchFile } from '../io/output-file.js';
import { assertGrowTools } from '../resize/grow-filesystem.js';
import { type ResizePlan, planResize, sameResizePlan } from '../resize/plan-resize.js';
import { type DiskContent, openDiskContent } from './disk-content.js';
import type { BuildContext } from './build-context.js';
import type { BuildPlan } from './plan-build.js';
import { planMap, writeDisk } from './write-disk.js';

/** What is unpacked, and where to. */
export interface TemplateWork {
  readonly plan: BuildPlan;
  readonly context: BuildContext;
  readonly handle: TemplateHandle;
  /** Path of the raw disk to fill. */
  readonly disk: string;
}

/** Whether this may have gone wrong only because the bytes are not those that were signed. */
function mayBeDamage(error: unknown): boolean {
  if (!(error instanceof TsbuilderError) || error.code === 'TSB_PARTITION_NOT_FOUND') return false;
  return error.exit === EXIT.checksum || error.exit === EXIT.guest;
}

/**
 * Decodes the template into `disk` while it arrives, verifies it, and returns the plan that both agree on. A qcow2 image is
 * verified first.
 */
export async function unpackTemplate(work: TemplateWork): Promise<ResizePlan> {
  const { plan, context, handle, disk } = work;
  const { signal, progress } = context;
  try {
    if (await isBareQcow2(handle, signal)) {
      using _ = progress.step('Verifying');
      await handle.verify(signal);
    }
    await using packed = await openDiskContent(handle.source, { early: handle.indexSource, signal });
    if (await isQcow2Inside(packed, context)) return await unpackQcow2Template(packed, work);
    const resize = await planFor(plan, packed, context);
    await assertGrowTools(resize, signal);
    await assertRoom(plan, packed.estimatedAllocation);
    await using writer = await openRawWriter(disk, resize.targetSize);
    await writeDisk(packed, writer, { ...context, map: planMap(resize) });
    using _ = progress.step('Verifying');
    await handle.verify(signal);
    await packed.confirm(handle.source, signal);
    await using verified = await openDiskContent(handle.source, { signal });
    assertSamePlan(handle, resize, await planFor(plan, verified, context));
    return resize;
  } catch (error) {
    // A damaged file fails in the decoder first, or its partition table looks damaged. Its checksum explains that better,
    // and sets a bad cache entry aside.
    if (mayBeDamage(error)) await handle.verify(signal);
    throw error;
  }
}

/** A template that is itself a qcow2 image: unpacked into a scratch file and verified before its structure is looked at. */
async function unpackQcow2Template(packed: DiskContent, work: TemplateWork): Promise<ResizePlan> {
  const { plan, context, handle, disk } = work;
  const { signal } = context;
  await using inner = await openScratchFile(plan.output);
  await assertRoom(plan, 2 * packed.estimatedAllocation);
  await using innerWriter = await openRawWriter(inner.tempPath, packed.size);
  await writeDisk(packed, innerWriter, context);
  await handle.verify(signal);
  await packed.confirm(handle.source, signal);
  await using source = await openFileSource(inner.tempPath);
  await using content = await openDiskContent(source, { signal });
  const resize = await planFor(plan, content, context);
  await assertGrowTools(resize, signal);
  await using writer = await openRawWriter(disk, resize.targetSize);
  await writeDisk(content, writer, { ...context, map: planMap(resize) });
  return resize;
}

/** Other formats than raw are converted from a raw disk beside them, so both need room. */
async function assertRoom(plan: BuildPlan, allocation: number): Promise<void> {
  await assertFreeSpace(dirname(plan.output), plan.format === 'raw' ? allocation : 2 * allocation);
}

/** A qcow2 image has its tables anywhere, so it cannot be decoded while it arrives; nor is it looked at before it is verified. */
async function isBareQcow2({ source }: TemplateHandle, signal: AbortSignal): Promise<boolean> {
  return source.size >= 4 && isQcow2(await source.read(0, 4, signal));
}

async function isQcow2Inside(packed: DiskContent, context: BuildContext): Promise<boolean> {
  if (packed.container === 'qcow2') return false;
  const { format } = context.entry;
  if (format !== undefined) return format === 'qcow2';
  return packed.size >= 4 && isQcow2(await packed.disk.read(0, 4, context.signal));
}

/**
 * How the template's disk becomes one of the size that `plan` asks for.
 *
 * @throws TSB_SIZE_MISMATCH when the disk is not of the size that its index entry says, and the codes of `planResize`
 */
export async function planFor(
  plan: BuildPlan,
  content: DiskContent,
  context: BuildContext,
): Promise<ResizePlan> {
  const { expand, lvexpand, template } = plan;
  // Simplestreams indexes give the size of the download, not of the disk.
  if (context.entry.source.format === 'native' && content.size !== template.size) {
    throw new TsbuilderError(
      'TSB_SIZE_MISMATCH',
      `${template.name}: the disk in it is ${content.size} bytes, its index entry says ${template.size}`,
      { hint: 'The repository is inconsistent: tell its publisher.' },
    );
  }
  const targetSize = plan.targetSize ?? content.size;
  return planResize({ source: content.disk, targetSize, expand, lvexpand, signal: context.signal });
}

function assertSamePlan(handle: TemplateHandle, used: ResizePlan, verified: ResizePlan): void {
  if (sameResizePlan(used, verified)) return;
  throw new TsbuilderError(
    'TSB_CONTENT_CHANGED',
    `${handle.source.name}: the partition table changed while it was read`,
    {
      hint: 'The server answered two requests for one file differently. Try again.',
    },
  );
}
