import type { WriterTurn } from '../../index-repo/publish-lock.js';
import type { FormerIndex } from './former-index.js';

/** A file of a repository, as it was verified. */
export interface PublishedFile {
  /** Its path below the folder of the repository, which is its place in the target. */
  readonly name: string;
  readonly path: string;
  readonly size: number;
  /** Lower-case hex. */
  readonly sha512: string;
}

/** How work in a target goes. */
export interface TargetOptions {
  /** Called with how many bytes were sent since the last call. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  /** Called, besides `onProgress`, with how many bytes did not have to be sent, as an interrupted publisher had sent them. */
  readonly onResumed?: ((bytes: number) => void) | undefined;
  /** Called with what the user should know that does not stop the work. */
  readonly warn?: ((message: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A place where a repository is published. */
export interface PublishTarget {
  /** For messages. */
  readonly name: string;
  /** Those of `files` that it does not have, or has with other content. */
  missing(files: readonly PublishedFile[], options: TargetOptions): Promise<PublishedFile[]>;
  /** Puts `files` there, in any order; each appears whole, and all are in place when it returns. */
  send(files: readonly PublishedFile[], options: TargetOptions): Promise<void>;
  /** Puts the index there, in place of `former` only, as far as the target can see to that. @throws TSB_CONTENT_CHANGED */
  replace(index: PublishedFile, options: TargetOptions & FormerIndex): Promise<void>;
  /** Takes away what interrupted publishers have left, but for what helps to send `files`. */
  sweep(files: readonly PublishedFile[], options: TargetOptions): Promise<void>;
  /** The names in its folder; none where it does not exist yet. */
  list(options: TargetOptions): Promise<string[]>;
  /** The text of a small file; undefined when it has none of that name. */
  readText(name: string, options: TargetOptions): Promise<string | undefined>;
  /** Takes away files; those that are gone are no fault. */
  remove(names: readonly string[], options: TargetOptions): Promise<void>;
  /** Runs `action` while no other publisher of this machine works on it, as far as that can be had. */
  exclusively<T>(action: () => Promise<T>, turn: WriterTurn): Promise<T>;
}
