import { createHash } from 'node:crypto';
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../errors.js';
import { replaceFile } from './replace-file.js';

const AWAY_MS = 3_600_000;

/**
 * Copies, as they were served, of the index files that were verified last. They are trusted no more than the network:
 * whoever reads one verifies it again. Beside them, which servers were away a short while ago.
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

  /** Whether there is a copy of the file at `url`. */
  async has(url: string): Promise<boolean> {
    return (await stat(this.path(url)).catch(() => undefined)) !== undefined;
  }

  /** When the server of `url` was first found to be away, if that is less than an hour ago. */
  async awaySince(url: string): Promise<Date | undefined> {
    const note = await stat(this.path(url, 'away')).catch(() => undefined);
    return note && Math.abs(Date.now() - note.mtimeMs) < AWAY_MS ? note.mtime : undefined;
  }

  /** Notes that the server of `url` is away, for an hour from now. A note that cannot be written is not missed. */
  async noteAway(url: string): Promise<void> {
    await replaceFile(this.path(url, 'away'), '').catch(() => undefined);
  }

  /** Forgets what `noteAway` noted. */
  async noteBack(url: string): Promise<void> {
    await rm(this.path(url, 'away'), { force: true }).catch(() => undefined);
  }

  private path(url: string, kind: 'index' | 'away' = 'index'): string {
    return join(this.folder, `${createHash('sha256').update(url).digest('hex')}.${kind}`);
  }
}
