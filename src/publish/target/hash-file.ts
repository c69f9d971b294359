import { TsbuilderError } from '../../errors.js';
import { openFileSource } from '../../io/file-source.js';
import { type ContentHash, hashSource, startHash } from '../../io/hash-content.js';
import type { PublishedFile, TargetOptions } from './publish-target.js';

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

/** Refuses what was read of a file on the way to a target when it is not what was verified before. @throws TSB_CONTENT_CHANGED */
export function assertUnchanged({ path, sha512 }: PublishedFile, found: string): void {
  if (found === sha512) return;
  throw new TsbuilderError('TSB_CONTENT_CHANGED', `${path}: has changed while it was published`, {
    hint: 'Nothing in the target names it yet: run the command again.',
  });
}
