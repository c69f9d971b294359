import type { Guest } from './guest.js';

/** A commit that is on the disk and can still be taken back. One of the two has to be called, once. */
export interface PendingCommit {
  /** Makes the filesystem what it was, byte for byte. */
  undo(): Promise<void>;
  /** Makes it final. */
  finish(): Promise<void>;
}

/** A guest whose commit can be taken back, so that several can be committed together. */
export interface PartGuest extends Guest {
  /** As `commit()`, but final only with `finish()`. Undefined when there is nothing to commit. */
  prepareCommit(): Promise<PendingCommit | undefined>;
}
