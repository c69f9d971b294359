import { rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { type Progress, type Step, silentProgress } from '../progress.js';
import type { ByteSource } from './byte-source.js';
import { type Download, startDownload } from './download.js';
import { openFollowSource } from './follow-source.js';
import { formatSize } from './format-size.js';
import type { HttpOptions } from './http-client.js';
import { tellRetries } from './http-retry.js';
import { openSource } from './open-source.js';
import { openScratchFile } from './output-file.js';
import { parseLocation } from './source-location.js';
import { makeTemporaryFolder, temporaryFolder } from './temporary-folder.js';

/** How to open something that may have to be downloaded first. */
export interface AnySourceOptions {
  /** The output that the work is for: a download is kept on its filesystem. Default: in the folder for large temporary files. */
  readonly scratchFor?: string | undefined;
  readonly progress?: Progress | undefined;
  readonly http?: HttpOptions | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Something opened for random access. */
export interface AnySource extends ByteSource {
  /** Whether its bytes are on this machine. */
  readonly isHere: boolean;
}

/**
 * Opens a path or a URL for random access, as `openSource` does. A file on a server that does not answer range requests
 * is downloaded as a whole first, into a file that has no name any more while it grows: whatever happens, nothing is left of it. A warning
 * tells how much that is, and where it goes.
 *
 * @throws TSB_USAGE, and what `openSource` and a download throw
 */
export async function openAnySource(pathOrUrl: string, options: AnySourceOptions = {}): Promise<AnySource> {
  try {
    const { http, progress = silentProgress, signal } = options;
    const onRetry = tellRetries((sentence) => progress.warn(sentence));
    const source = await openSource(pathOrUrl, { onRetry, ...http, signal });
    return { ...source, isHere: parseLocation(pathOrUrl).kind === 'file' };
  } catch (error) {
    if (!(error instanceof TsbuilderError && error.code === 'TSB_NO_RANGES')) throw error;
    return downloadWhole(pathOrUrl, options, error.message);
  }
}

async function downloadWhole(url: string, options: AnySourceOptions, reason: string): Promise<AnySource> {
  const { progress = silentProgress, http, signal } = options;
  let step: Step | undefined;
  const { scratchFor } = options;
  const folder = scratchFor === undefined ? await temporaryFolder() : dirname(resolve(scratchFor));
  const onStart = (size: number | undefined): void => {
    const amount =
      size === undefined ? 'all of it, however much that is,' : `all of it (${formatSize(size)})`;
    progress.warn(`${reason}: ${amount} is downloaded first, to a file without a name in ${folder}`);
    step = progress.step('Downloading the whole file', size);
  };
  const download = await startNameless(scratchFor, folder, (path) =>
    startDownload({
      ...http,
      url,
      path,
      maxSize: Number.MAX_SAFE_INTEGER,
      roomIn: folder,
      resumable: false,
      hint: 'Try again later.',
      onStart,
      onBytes: (bytes) => step?.advance(bytes),
      onRetry: tellRetries((sentence) => progress.warn(sentence)),
      signal,
    }),
  );
  try {
    await download.done;
    const source = await openFollowSource(download);
    return { ...source, isHere: true, [Symbol.asyncDispose]: () => download[Symbol.asyncDispose]() };
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
  parent: string,
  start: (path: string) => Promise<Download>,
): Promise<Download> {
  if (output !== undefined) {
    await using scratch = await openScratchFile(output);
    return await start(scratch.tempPath);
  }
  const folder = await makeTemporaryFolder('tsbuilder-', parent);
  try {
    return await start(join(folder, 'download'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
