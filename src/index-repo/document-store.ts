import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../errors.js';
import { replaceFile } from './replace-file.js';

/**
 * Copies, as they were served, of the index files that were verified last. They are trusted no more than the network:
 * whoever reads one verifies it again.
 */
export class DocumentStore {
  constructor(private readonly folder: string) {}

  /** The copy of the file at `url`, if there is one. */
  async read(url: string): Promise<Uint8Array | undefined> {
    try {
      return await readFile(this.path(url));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Replaces the copy. @throws the system's error */
  async write(url: string, data: Uint8Array): Promise<void> {
    await replaceFile(this.path(url), data);
  }

  private path(url: string): string {
    return join(this.folder, `${createHash('sha256').update(url).digest('hex')}.index`);
  }
}
