import type { WritableContent } from '../build/content-target.js';
import { isQcow2 } from '../image/qcow2-info.js';
import type { ByteSource } from '../io/byte-source.js';
import { formatOf, protections } from './open-format.js';
import type { ServedFormat } from './served-disk.js';

/** Content that is decoded from its beginning to its end, once, and what there is to say about it. */
export interface FlowingContent {
  readonly content: WritableContent;
  readonly format: ServedFormat;
  readonly protection: string;
}

/** What decodes a whole file in order. */
type Flow = (
  source: ByteSource,
  options: {
    readonly sink: (offset: number, data: Uint8Array) => Promise<void>;
    readonly onProgress?: ((bytes: number) => void) | undefined;
    readonly signal?: AbortSignal | undefined;
  },
) => Promise<number>;

const QCOW2_MAGIC_BYTES = 4;

/**
 * The raw disk in a gzip or zstd file that is best decoded in order, so that the file is read once. Undefined for every other file: one of
 * another format, one that has a qcow2 image in it, and a zstd file with frames that can be decoded one without the other. `source` stays
 * open.
 *
 * @param format what the file is taken to be, and the disk in it to be raw
 * @throws what reading and decoding the file's beginning throw
 */
export async function openFlowing(
  source: ByteSource,
  how: {
    readonly format?: ServedFormat | undefined;
    readonly local: boolean;
    readonly signal: AbortSignal;
  },
): Promise<FlowingContent | undefined> {
  const format = how.format ?? (await formatOf(source, how.signal));
  if (format !== 'gzip' && format !== 'zstd') return undefined;
  const { flow, peek } = format === 'gzip' ? await gzipFlow() : await zstdFlow(source, how);
  if (!flow) return undefined;
  const head = how.format === undefined ? await peek(source, QCOW2_MAGIC_BYTES, how.signal) : NO_MAGIC;
  // Where the beginning cannot be seen the longer way finds out what is wrong, or inside.
  if (!head || isQcow2(head)) return undefined;
  return { content: flowingContent(source, format, flow), format, protection: protections[format] };
}

const NO_MAGIC = new Uint8Array(QCOW2_MAGIC_BYTES);

interface Way {
  /** Undefined when there is a better way to decode the file. */
  readonly flow: Flow | undefined;
  readonly peek: (source: ByteSource, length: number, signal: AbortSignal) => Promise<Uint8Array | undefined>;
}

async function gzipFlow(): Promise<Way> {
  const { peekGzip, streamGzip } = await import('../gzip/gzip-flow.js');
  return { flow: streamGzip, peek: peekGzip };
}

async function zstdFlow(
  source: ByteSource,
  how: { readonly local: boolean; readonly signal: AbortSignal },
): Promise<Way> {
  const { isBestInOrder, peekZstd, streamZstd } = await import('../zstd/zstd-flow.js');
  return { flow: (await isBestInOrder(source, how)) ? streamZstd : undefined, peek: peekZstd };
}

function flowingContent(source: ByteSource, container: string, flow: Flow): WritableContent {
  let size: number | undefined;
  return {
    container,
    get size() {
      return size;
    },
    streamedBytes: source.size,
    // At least that much, unless it was packed in vain; what is missing shows while it is written.
    estimatedAllocation: source.size,
    async stream(sink, { onProgress, signal }) {
      size = await flow(source, {
        sink: (offset, data) => sink.data(offset, data, signal),
        onProgress,
        signal,
      });
    },
  };
}
