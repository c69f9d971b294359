import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { type Progress, type Step, silentProgress } from '../progress.js';
import type { ByteSource } from './byte-source.js';
import { type Download, startDownload } from './download.js';
import { openFollowSource } from './follow-source.js';
import type { HttpOptions } from './http-client.js';
import { openSource } from './open-source.js';
import { openScratchFile } from './output-file.js';

/** How to open something that may have to be downloaded first. */
export interface AnySourceOptions {
  /** The output that the work is for: a download is kept on its filesystem. Default: in the system's temporary folder. */
  readonly scratchFor?: string | undefined;
  readonly progress?: Progress | undefined;
  readonly http?: HttpOptions | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a path or a URL for random access, as `openSource` does. A file on a server that does not answer range requests
 * is downloaded as a whole first, into a file that has no name any more while it grows: whatever happens, nothing is left of it.
 *
 * @throws TSB_USAGE, and what `openSource` and a download throw
 */
export async function openAnySource(pathOrUrl: string, options: AnySourceOptions = {}): Promise<ByteSource> {
  try {
    return await openSource(pathOrUrl, { ...options.http, signal: options.signal });
  } catch (error) {
    if (!(error instanceof TsbuilderError && error.code === 'TSB_NO_RANGES')) throw error;
    options.progress?.detail(`${error.message}; downloading the file first`);
  }
  return downloadWhole(pathOrUrl, options);
}

async function downloadWhole(url: string, options: AnySourceOptions): Promise<ByteSource> {
  const { progress = silentProgress, http, signal } = options;
  let step: Step | undefined;
  const { scratchFor } = options;
  const download = await startNameless(scratchFor, (path) =>
    startDownload({
      ...http,
      url,
      path,
      maxSize: Number.MAX_SAFE_INTEGER,
      roomIn: scratchFor === undefined ? tmpdir() : dirname(resolve(scratchFor)),
      resumable: false,
      onStart: (size) => (step = progress.step('Downloading the whole file', size)),
      onBytes: (bytes) => step?.advance(bytes),
      signal,
    }),
  );
  try {
    await download.done;
    const source = await openFollowSource(download);
    return { ...source, [Symbol.asyncDispose]: () => download[Symbol.asyncDispose]() };
  } catch (error) {
    await download[Symbol.asyncDispose]();
    throw error;
  } finally {
    step?.[Symbol.dispose]();
  }
}

/** Starts a download into a new file and takes the file's name away. A download works on the file that it has opened. */
async function startNameless(
  output: string | undefined,
  start: (path: string) => Promise<Download>,
): Promise<Download> {
  if (output !== undefined) {
    await using scratch = await openScratchFile(output);
    return await start(scratch.tempPath);
  }
  const folder = await mkdtemp(join(tmpdir(), 'tsbuilder-'));
  try {
    return await start(join(folder, 'download'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
