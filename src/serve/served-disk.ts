import type { TemplateQuery } from '../build/open-templates.js';
import type { Counters } from '../io/counters.js';
import type { DiskSource } from '../io/disk-source.js';
import type { HttpOptions } from '../io/http-client.js';
import type { Progress } from '../progress.js';
import type { XzIndex } from '../xz/xz-index.js';

/** What a file can be, by its first bytes; what is nothing else is raw. */
export type ServedFormat = 'raw' | 'xz' | 'gzip' | 'zstd' | 'qcow2';

/** A disk that can be read at any place, and what is known of the trust in it. */
export interface ServedDisk extends DiskSource {
  /** Of the file itself. A qcow2 image may be inside a compressed one. */
  readonly format: ServedFormat;
  /** What has been verified, or will be before a byte is used: a sentence without its full stop. */
  readonly protection: string;
  /** Where the blocks of the disk are in an xz file; undefined when it is in no xz file, or in a qcow2 image in one. */
  readonly index?: XzIndex | undefined;
}

/** How a disk is opened. */
export interface ServedDiskOptions {
  /** Memory for decoded content. */
  readonly cacheBytes: number;
  /** A new file, or a folder: decoded content goes to a sparse file there that has no name. Default: only where it must. */
  readonly spill?: string | undefined;
  /** Decoders that work at once. */
  readonly jobs: number;
  /** Only this partition, by the number that Linux gives it. */
  readonly partition?: number | undefined;
  /**
   * Take a file to be of this format, whatever it looks like, and the disk in it to be raw. Not for templates: their index says what
   * they are.
   */
  readonly format?: ServedFormat | undefined;
  readonly templates: TemplateQuery;
  /** Of the template. Default: that of this machine. */
  readonly arch?: string | undefined;
  /** Refuse what cannot be verified block by block against a signed index. */
  readonly requireVerified?: boolean | undefined;
  readonly http?: HttpOptions | undefined;
  readonly counters: Counters;
  readonly progress: Progress;
  /** Ends the opening, and afterwards all reads. */
  readonly signal: AbortSignal;
}
