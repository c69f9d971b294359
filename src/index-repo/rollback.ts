import { createHash } from 'node:crypto';
import { readFile, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuilderError, errnoOf } from '../errors.js';
import { redactUrl } from '../io/redact-url.js';
import { replaceFile } from './replace-file.js';

/** A signed document that has been verified. */
export interface SignedVersion {
  /** The location by which its source names it. */
  readonly url: string;
  readonly createdAt: Date;
  /** The text that was verified. */
  readonly text: string;
}

/** How a document stands to what was seen before at the same place. */
export type Standing = 'first' | 'same' | 'newer' | 'older' | 'twin';

/**
 * The memory of when the newest signature seen at each place was made. One folder for each place, in it one file named
 * by the time: creating a file can only move the memory forward, whatever other processes do meanwhile.
 */
export class RollbackMemory {
  constructor(private readonly folder: string) {}

  /**
   * Compares a document with the newest one remembered: `twin` has the same time, to the second, but another text.
   *
   * @throws TSB_SIGNATURE_ROLLBACK when it is older, unless `allowRollback`
   */
  async check(version: SignedVersion, options: { allowRollback: boolean }): Promise<Standing> {
    const newest = (await this.remembered(version.url)).at(-1);
    if (newest === undefined) return 'first';
    const seconds = secondsOf(version);
    if (seconds > newest) return 'newer';
    if (seconds === newest) return (await this.isSame(version)) ? 'same' : 'twin';
    if (options.allowRollback) return 'older';
    throw rollback(version, newest);
  }

  /** Remembers a document that was accepted, and forgets older ones. With `forgetNewer`, newer ones too. */
  async remember(version: SignedVersion, options: { forgetNewer: boolean }): Promise<void> {
    const before = await this.remembered(version.url);
    const seconds = secondsOf(version);
    const { url, createdAt } = version;
    const note = { url: redactUrl(url), createdAt: createdAt.toISOString(), sha512: digestOf(version.text) };
    await replaceFile(this.path(url, seconds), `${JSON.stringify(note)}\n`);
    const outdated = before.filter((other) => other < seconds || (options.forgetNewer && other > seconds));
    await Promise.all(outdated.map((other) => unlink(this.path(url, other)).catch(() => undefined)));
  }

  private async remembered(url: string): Promise<number[]> {
    try {
      const names = await readdir(join(this.folder, placeOf(url)));
      return names
        .filter((name) => /^\d{1,12}$/.test(name))
        .map(Number)
        .sort((a, b) => a - b);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      throw error;
    }
  }

  private async isSame(version: SignedVersion): Promise<boolean> {
    const note = await readFile(this.path(version.url, secondsOf(version)), 'utf8').catch(() => '');
    return note.includes(digestOf(version.text));
  }

  private path(url: string, seconds: number): string {
    return join(this.folder, placeOf(url), String(seconds));
  }
}

const placeOf = (url: string): string => createHash('sha256').update(url).digest('hex');
const digestOf = (text: string): string => createHash('sha512').update(text).digest('hex');
const secondsOf = ({ createdAt }: SignedVersion): number => Math.floor(createdAt.getTime() / 1000);

function rollback({ url, createdAt }: SignedVersion, newest: number): TsbuilderError {
  const name = redactUrl(url);
  const [found, seen] = [createdAt, new Date(newest * 1000)].map((date) =>
    date.toISOString().replace(/\.\d+Z$/, 'Z'),
  );
  return new TsbuilderError(
    'TSB_SIGNATURE_ROLLBACK',
    `${name}: was signed ${found ?? ''}, but one signed ${seen ?? ''} has been seen before`,
    {
      hint: 'A mirror may lag, or somebody offers an old index with known holes. --allow-rollback accepts it from now on.',
      details: { url: name, signed: found, seen },
    },
  );
}
