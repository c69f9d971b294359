import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { TsbuilderError } from '../errors.js';
import type { ByteSource } from './byte-source.js';
import type { DownloadMark } from './download-mark.js';
import { DownloadRun } from './download-run.js';
import { readDownloadState } from './download-state.js';
import { writeError } from './free-space.js';
import type { ContentHash } from './hash-content.js';
import { type HttpOptions, openHttpClient } from './http-client.js';
import type { HttpIdentity } from './http-identity.js';

/** What to download, and where to. */
export interface DownloadOptions extends HttpOptions {
  readonly url: string;
  /** The partial file. Nobody else may write it meanwhile: hold a lock. What a killed process left there is resumed. */
  readonly path: string;
  /** A folder on the same filesystem, to see how much space is free. Default: that of `path`, which must then stay. */
  readonly roomIn?: string | undefined;
  /** A longer file is refused. */
  readonly maxSize: number;
  /** Whether a later process may go on with what this one leaves; default true. Else there is no note beside the file. */
  readonly resumable?: boolean | undefined;
  /** Also make the SHA-256. */
  readonly sha256?: boolean | undefined;
  /** Asked of what an earlier process left: how many bytes from its start can be kept. Default: all. */
  readonly soundPrefix?: ((partial: ByteSource) => Promise<number>) | undefined;
  /** Called once, when the server has answered; the length is undefined when the server does not tell. */
  readonly onStart?: ((size: number | undefined) => void) | undefined;
  /** Called with the number of bytes by which the file has grown. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A whole file, downloaded. */
export interface DownloadResult extends ContentHash, HttpIdentity {
  readonly size: number;
}

/**
 * A download that is under way. Disposing it stops it; the partial file stays if a later download can resume it. Bytes
 * that a reader has seen never change: if the server's file does, the download fails with TSB_CONTENT_CHANGED.
 */
export interface Download extends AsyncDisposable {
  /** The redacted URL. */
  readonly name: string;
  readonly url: string;
  readonly path: string;
  /** The length in bytes: known as soon as the server tells it, else at the end. Rejects as `done`. */
  readonly size: Promise<number>;
  /** The version that is being downloaded, as far as the server has described it. */
  readonly identity: HttpIdentity;
  /** Whether bytes that an earlier process left were used. */
  readonly resumed: boolean;
  readonly mark: DownloadMark;
  /**
   * The end of the download. Rejects with TSB_HTTP_STATUS, TSB_NETWORK, TSB_NETWORK_TIMEOUT, TSB_CONTENT_CHANGED,
   * TSB_SIZE_MISMATCH (longer than `maxSize` or than announced), TSB_NO_SPACE, TSB_IO, or the abort reason.
   */
  readonly done: Promise<DownloadResult>;
  /** Fills `data` with bytes from `offset`, waiting for them when they have not arrived. @throws as `done` */
  read(offset: number, data: Uint8Array, signal?: AbortSignal): Promise<void>;
}

/**
 * Starts a download that hashes on the way, retries, and goes on where an earlier attempt or process stopped: by Range
 * and If-Range, believing a 206 only when its Content-Range and validator fit; a 200 starts from zero.
 *
 * @throws TSB_IO, TSB_NO_SPACE when the partial file cannot be opened, TSB_USAGE for a bad URL or proxy setting
 */
export async function startDownload(options: DownloadOptions): Promise<Download> {
  options.signal?.throwIfAborted();
  if (!URL.canParse(options.url)) throw new TsbuilderError('TSB_USAGE', `not a valid URL to download from`);
  const { path, url, resumable = true } = options;
  const state = resumable ? await readDownloadState(path, url) : undefined;
  const client = await openHttpClient(options);
  try {
    const handle = await open(options.path, constants.O_RDWR | constants.O_CREAT, 0o600);
    return new DownloadRun(options, { client, handle, state });
  } catch (error) {
    await client[Symbol.asyncDispose]();
    throw writeError(options.path, error);
  }
}
