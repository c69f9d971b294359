import { openFileSource } from '../../io/file-source.js';
import { type ContentHash, hashSource, startHash } from '../../io/hash-content.js';
import type { TargetOptions } from './publish-target.js';

/** Length and SHA-512 of a file, which is read once. @throws TSB_NOT_FOUND, TSB_IO */
export async function hashFile(path: string, { onProgress, signal }: TargetOptions): Promise<ContentHash> {
  await using source = await openFileSource(path);
  const hasher = startHash();
  const update = (data: Uint8Array): void => {
    hasher.update(data);
    onProgress?.(data.length);
  };
  await hashSource(source, { ...hasher, update }, signal);
  return hasher.digest();
}
