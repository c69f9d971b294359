import { isQcow2 } from '../image/qcow2-info.js';
import type { ByteSource } from '../io/byte-source.js';
import { isXz, readXzIndex } from '../xz/xz-index.js';
import type { DiskSink } from './disk-sink.js';
import { qcow2Content, rawContent } from './flat-content.js';
import { xzContent } from './xz-content.js';

/** How content is streamed. */
export interface StreamOptions {
  readonly jobs: number;
  readonly signal?: AbortSignal | undefined;
  /** Called with how many of `streamedBytes` were done since the last call. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/** A disk inside a file: one view of raw, qcow2 and xz-compressed images. */
export interface DiskContent extends AsyncDisposable {
  readonly container: 'xz' | 'qcow2' | 'raw';
  /** Virtual size in bytes. */
  readonly size: number;
  /** Bytes that progress counts: of the packed file for xz, of data for the others. */
  readonly streamedBytes: number;
  /** Random access to the disk, for reading a partition table. */
  readonly disk: ByteSource;
  /** An upper estimate of the bytes that the disk will occupy when its zeros are holes. */
  readonly estimatedAllocation: number;
  /** Delivers the whole disk to `sink`, in any order, many pieces at once. */
  stream(sink: DiskSink, options: StreamOptions): Promise<void>;
  /**
   * Compares what the work was based on with `verified`, the same file read again.
   *
   * @throws TSB_CONTENT_CHANGED when they differ
   */
  confirm(verified: ByteSource, signal?: AbortSignal): Promise<void>;
}

/** What `openDiskContent` may use besides the source itself. */
export interface OpenContentOptions {
  /**
   * A second view of the same bytes whose end can be read before everything in front of it is there (a range request
   * past a running download): the xz index is read through it.
   */
  readonly early?: ByteSource | undefined;
  /** The source's path when it is a local file: the holes of a raw disk are then skipped, not read. */
  readonly path?: string | undefined;
  /** What it is, where its content must not decide. */
  readonly format?: 'raw' | 'qcow2' | undefined;
  readonly signal?: AbortSignal | undefined;
}

const HEAD = 6;

/**
 * Opens the disk in `source`; unless `format` does, its first bytes tell what it is, and what is neither xz nor qcow2 is raw. Disposing the content
 * leaves `source` open.
 *
 * @throws TSB_XZ_CORRUPT, TSB_XZ_LIMIT, TSB_XZ_UNSUPPORTED, TSB_IMAGE_INVALID
 */
export async function openDiskContent(
  source: ByteSource,
  options: OpenContentOptions = {},
): Promise<DiskContent> {
  const { signal } = options;
  if (options.format === 'raw') return rawContent(source, options);
  if (options.format === 'qcow2') return qcow2Content(source, signal);
  const head = await source.read(0, Math.min(HEAD, source.size), signal);
  if (isXz(head)) return xzContent(source, await readXzIndex(options.early ?? source, { signal }));
  return isQcow2(head) ? qcow2Content(source, signal) : rawContent(source, options);
}
