import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { writeFully } from '../image/write-fully.js';
import { openFileSource } from '../io/file-source.js';
import { formatSize } from '../io/format-size.js';
import { decodeJobs } from '../io/native.js';
import type { Progress } from '../progress.js';
import type { XzPacking } from '../xz/encode-options.js';
import { verifyEncoded } from '../xz/encode-verify.js';
import { type EncodeXzOptions, type EncodedXz, encodeXz } from '../xz/encode-xz.js';

/** Content to pack: `fill` and `onProgress` as `encodeXz` has them. */
export type PackContent = Pick<EncodeXzOptions, 'size' | 'fill' | 'onProgress'>;

/** How content is packed into a file. */
export interface PackOptions extends XzPacking, Pick<EncodeXzOptions, 'before'> {
  /** What messages call the file. */
  readonly name: string;
  readonly jobs: number;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** A packed file. */
export interface PackedFile extends EncodedXz {
  /** SHA-512 of the file in lower-case hex. */
  readonly sha512: string;
}

/**
 * Packs content into the empty file `path`.
 *
 * @throws TSB_NO_SPACE, TSB_IO, and as `encodeXz`
 */
export async function packXz(path: string, content: PackContent, options: PackOptions): Promise<PackedFile> {
  const { name, progress } = options;
  const hash = createHash('sha512');
  let position = 0;
  await using handle = await open(path, 'r+');
  const encoded = await encodeXz({
    ...options,
    ...content,
    async write(data) {
      await writeFully({ path: name, handle }, position, data);
      position += data.length;
      hash.update(data);
    },
    onFewerJobs: (jobs, memory) =>
      progress.warn(`packing ${jobs} blocks at once: each takes ${formatSize(memory)} of memory`),
  });
  return { ...encoded, sha512: hash.digest('hex') };
}

/**
 * Decodes the packed file `path` and compares it with what was packed.
 *
 * @throws TSB_CHECKSUM_MISMATCH, and as `decodeXz`
 */
export async function verifyPacked(path: string, packed: PackedFile, options: PackOptions): Promise<void> {
  await using file = await openFileSource(path);
  using step = options.progress.step('Verifying', file.size);
  const onProgress = (bytes: number): void => step.advance(bytes);
  const jobs = decodeJobs(options.jobs + 1);
  await verifyEncoded({ ...file, name: options.name }, packed, { ...options, jobs, onProgress });
}
