import { open } from 'node:fs/promises';
import type { DiskWriter } from '../image/disk-writer.js';
import { writeFully } from '../image/write-fully.js';
import type { Progress } from '../progress.js';
import { type ResizePlan, mapRange } from '../resize/plan-resize.js';
import type { DiskContent } from './disk-content.js';
import { type RangeMap, diskSink } from './disk-sink.js';

/** How a disk is written. */
export interface WriteOptions {
  readonly jobs: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Where ranges of the content land; default: where they are. */
  readonly map?: RangeMap | undefined;
}

/** Writes `content` through `writer` and finishes it. */
export async function writeDisk(
  content: Pick<DiskContent, 'streamedBytes' | 'stream'> & { readonly container: string },
  writer: DiskWriter,
  options: WriteOptions,
): Promise<void> {
  const { jobs, signal } = options;
  using step = options.progress.step(
    ['raw', 'qcow2'].includes(content.container) ? 'Copying' : 'Decoding',
    content.streamedBytes,
  );
  const sink = diskSink(writer, options.map);
  await content.stream(sink, { jobs, signal, onProgress: (bytes) => step.advance(bytes) });
  await writer.finish();
}

/** The plan's mapping: partitions land at their new places while they are decoded. */
export function planMap(resize: ResizePlan): RangeMap {
  return (offset, length) => mapRange(resize, offset, length);
}

/** Writes the plan's partition tables: the last bytes that a disk gets before its filesystems are touched. */
export async function writeLiterals(path: string, resize: ResizePlan): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    for (const { offset, data } of resize.literals) await writeFully({ path, handle }, offset, data);
  } finally {
    await handle.close();
  }
}
