import type { ByteSource } from '../io/byte-source.js';
import { decodeXz } from '../xz/decode-xz.js';
import type { XzBlock, XzIndex } from '../xz/xz-index.js';

/** A megabyte of zeros packs to about 150 bytes; nothing else that matters packs as well. */
const ZERO_RATIO = 1000;
const MAX_KINDS = 16;
const MAX_RUN = 4 * 1024 * 1024;

/**
 * Bytes of the content that are certainly zero because they are in blocks that are zero throughout. Few bytes of the file are
 * read: one block of each promising size is decoded, and the others of that size are compared with it.
 */
export async function countZeroBlocks(
  source: ByteSource,
  index: XzIndex,
  signal?: AbortSignal,
): Promise<number> {
  let zeros = 0;
  for (const blocks of promisingBlocks(index).slice(0, MAX_KINDS)) {
    const [sample, ...others] = blocks;
    if (!sample || !(await isZeroBlock(source, { index, block: sample, signal }))) continue;
    const known = await source.read(sample.compressedOffset, sample.totalSize, signal);
    zeros += sample.uncompressedSize;
    for (const run of adjacentRuns(others)) zeros += await countEqual(source, { run, known, signal });
  }
  return zeros;
}

/** Blocks that pack suspiciously well, in groups whose members may be equal, the largest group first. */
function promisingBlocks(index: XzIndex): XzBlock[][] {
  const groups = new Map<string, XzBlock[]>();
  for (const block of index.blocks()) {
    if (block.uncompressedSize < block.totalSize * ZERO_RATIO) continue;
    const check = index.streams[block.stream]?.check ?? 0;
    const key = `${block.unpaddedSize} ${block.uncompressedSize} ${check}`;
    const group = groups.get(key);
    if (group) group.push(block);
    else groups.set(key, [block]);
  }
  return [...groups.values()].sort((a, b) => b.length - a.length);
}

async function isZeroBlock(
  source: ByteSource,
  work: { index: XzIndex; block: XzBlock; signal: AbortSignal | undefined },
): Promise<boolean> {
  const { index, block, signal } = work;
  let zero = true;
  await decodeXz({
    source,
    index: {
      ...index,
      blocks: () => [block],
      block: (number) => index.block(number),
      find: (at) => index.find(at),
    },
    jobs: 1,
    signal,
    onData: (_, data) => {
      zero &&= Buffer.compare(data, new Uint8Array(data.length)) === 0;
      return Promise.resolve();
    },
    onZero: () => Promise.resolve(),
  });
  return zero;
}

/** Blocks that follow each other in the file, to be fetched by one read each run. */
function* adjacentRuns(blocks: readonly XzBlock[]): Iterable<XzBlock[]> {
  let run: XzBlock[] = [];
  for (const block of blocks) {
    const last = run.at(-1);
    const full = run.length * block.totalSize >= MAX_RUN;
    if (last && (full || last.compressedOffset + last.totalSize !== block.compressedOffset)) {
      yield run;
      run = [];
    }
    run.push(block);
  }
  if (run.length > 0) yield run;
}

async function countEqual(
  source: ByteSource,
  work: { run: readonly XzBlock[]; known: Uint8Array; signal: AbortSignal | undefined },
): Promise<number> {
  const { run, known, signal } = work;
  const start = run[0]?.compressedOffset ?? 0;
  const data = await source.read(start, run.length * known.length, signal);
  const equal = run.filter(({ compressedOffset }) => {
    const at = compressedOffset - start;
    return Buffer.compare(data.subarray(at, at + known.length), known) === 0;
  });
  return equal.reduce((sum, { uncompressedSize }) => sum + uncompressedSize, 0);
}
