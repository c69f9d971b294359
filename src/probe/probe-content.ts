import type { ByteSource } from '../io/byte-source.js';
import { asBuffer } from './bytes.js';
import type { Range } from './range.js';
import { type Content, FAR_PROBES, NEAR_PROBES } from './superblocks.js';

const NEAR = 4096;
const FAR = 69632;

const UNKNOWN: Content = { kind: 'unknown', name: 'unknown' };

/**
 * What the bytes in `range` of a disk hold, judged by magic numbers in one read of 4 KiB, or a second one of 64 KiB where
 * the first says nothing. Nothing recognised gives kind `unknown`.
 */
export async function probeContent(source: ByteSource, range: Range, signal?: AbortSignal): Promise<Content> {
  const near = await readStart(
    source,
    { offset: range.offset, length: Math.min(NEAR, range.length) },
    signal,
  );
  const found = firstMatch(near, NEAR_PROBES);
  if (found || range.length <= NEAR) return found ?? UNKNOWN;
  const rest = { offset: range.offset + NEAR, length: Math.min(FAR, range.length) - NEAR };
  const data = Buffer.concat([near, await readStart(source, rest, signal)]);
  return firstMatch(data, FAR_PROBES) ?? UNKNOWN;
}

async function readStart(source: ByteSource, range: Range, signal?: AbortSignal): Promise<Buffer> {
  const length = Math.max(0, Math.min(range.length, source.size - range.offset));
  return asBuffer(await source.read(range.offset, length, signal));
}

function firstMatch(data: Buffer, probes: typeof NEAR_PROBES): Content | undefined {
  for (const { needs, parse } of probes) {
    const found = data.length >= needs ? parse(data) : undefined;
    if (found) return found;
  }
  return undefined;
}
