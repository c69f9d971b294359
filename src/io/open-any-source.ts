import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { type Progress, type Step, silentProgress } from '../progress.js';
import type { ByteSource } from './byte-source.js';
import { startDownload } from './download.js';
import { removePartial } from './download-state.js';
import { openFileSource } from './file-source.js';
import type { HttpOptions } from './http-client.js';
import { openSource } from './open-source.js';
import { openScratchFile } from './output-file.js';
import { redactUrl } from './redact-url.js';

/** How to open something that may have to be downloaded first. */
export interface AnySourceOptions {
  /** The output that the work is for: a download is kept beside it. Default: in the system's temporary folder. */
  readonly scratchFor?: string | undefined;
  readonly progress?: Progress | undefined;
  readonly http?: HttpOptions | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a path or a URL for random access, as `openSource` does. A file on a server that does not answer range requests
 * is downloaded as a whole first; disposing the source removes the copy.
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
  const place = await openPlace(options.scratchFor);
  try {
    await downloadTo(place.path, pathOrUrl, options);
    return sourceOver(await openFileSource(place.path), redactUrl(pathOrUrl), place);
  } catch (error) {
    await place[Symbol.asyncDispose]();
    throw error;
  }
}

/** Where a download goes; disposing it removes all that was made there. */
interface Place extends AsyncDisposable {
  readonly path: string;
}

async function openPlace(output: string | undefined): Promise<Place> {
  if (output !== undefined) {
    const { tempPath } = await openScratchFile(output);
    return { path: tempPath, [Symbol.asyncDispose]: () => removePartial(tempPath) };
  }
  const folder = await mkdtemp(join(tmpdir(), 'tsbuilder-'));
  return {
    path: join(folder, 'download'),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

async function downloadTo(path: string, url: string, options: AnySourceOptions): Promise<void> {
  const { progress = silentProgress, http, signal } = options;
  let step: Step | undefined;
  try {
    await using download = await startDownload({
      ...http,
      url,
      path,
      maxSize: Number.MAX_SAFE_INTEGER,
      onStart: (size) => (step = progress.step('Downloading', size)),
      onBytes: (bytes) => step?.advance(bytes),
      signal,
    });
    await download.done;
  } finally {
    step?.[Symbol.dispose]();
  }
}

function sourceOver(file: ByteSource, name: string, place: Place): ByteSource {
  return {
    name,
    size: file.size,
    read: (offset, length, signal) => file.read(offset, length, signal),
    async [Symbol.asyncDispose]() {
      await file[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    },
  };
}
