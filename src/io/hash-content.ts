import { createHash } from 'node:crypto';
import type { ByteSource } from './byte-source.js';

/** What identifies content: its length and hashes in lower-case hex. */
export interface ContentHash {
  readonly size: number;
  readonly sha512: string;
  /** Only when it was asked for. */
  readonly sha256: string | undefined;
}

/** A running hash over bytes given in order. */
export interface ContentHasher {
  update(data: Uint8Array): void;
  /** The result; nothing can be added afterwards. */
  digest(): ContentHash;
}

const PIECE = 1024 * 1024;

/** Starts a SHA-512, and beside it a SHA-256 where a source publishes only that. */
export function startHash(options: { sha256?: boolean | undefined } = {}): ContentHasher {
  const sha512 = createHash('sha512');
  const sha256 = options.sha256 === true ? createHash('sha256') : undefined;
  let size = 0;
  return {
    update(data) {
      size += data.length;
      sha512.update(data);
      sha256?.update(data);
    },
    digest: () => ({ size, sha512: sha512.digest('hex'), sha256: sha256?.digest('hex') }),
  };
}

/** Feeds all bytes of `source` to `hasher`, a piece at a time. @throws what reading throws */
export async function hashSource(
  source: Pick<ByteSource, 'size' | 'read'>,
  hasher: ContentHasher,
  signal?: AbortSignal,
): Promise<void> {
  for (let offset = 0; offset < source.size; offset += PIECE)
    hasher.update(await source.read(offset, Math.min(PIECE, source.size - offset), signal));
}
