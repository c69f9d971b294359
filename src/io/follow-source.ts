import { type ByteSource, assertRange } from './byte-source.js';
import type { Download } from './download.js';
import { type HttpOptions } from './http-client.js';
import { openHttpSource } from './http-source.js';

/**
 * The bytes of a file that is still being downloaded: a read waits until its bytes have arrived. Opens as soon as the
 * length is known. Disposing the source leaves the download running; the download must outlive its readers.
 *
 * @throws what the download fails with; so do reads
 */
export async function openFollowSource(download: Download): Promise<ByteSource> {
  const size = await download.size;
  const source: ByteSource = {
    name: download.name,
    size,
    async read(offset, length, signal) {
      assertRange(source, offset, length);
      const data = Buffer.allocUnsafeSlow(length);
      await download.read(offset, data, signal);
      return data;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return source;
}

/**
 * The same bytes, but a read beyond the download's mark also asks the server for that range and takes whichever comes
 * first. Where the server cannot, the read simply waits. For the few reads at a file's end that must not wait.
 */
export async function openLeapingSource(download: Download, options: HttpOptions = {}): Promise<ByteSource> {
  const follow = await openFollowSource(download);
  const stop = new AbortController();
  let opening: Promise<ByteSource> | undefined;
  const remote = (): Promise<ByteSource> => {
    const { identity: expected } = download;
    opening ??= openHttpSource(download.url, { ...options, expected, signal: stop.signal });
    return opening;
  };
  const source: ByteSource = {
    ...follow,
    read(offset, length, signal) {
      assertRange(source, offset, length);
      if (offset + length <= download.mark.reached) return follow.read(offset, length, signal);
      return firstOf(
        [
          (either) => follow.read(offset, length, either),
          async (either) => (await remote()).read(offset, length, either),
        ],
        signal,
      );
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      const opened = await opening?.catch(() => undefined);
      await opened?.[Symbol.asyncDispose]();
    },
  };
  return source;
}

type Way = (signal: AbortSignal) => Promise<Uint8Array>;

/** The first success; the others are stopped. When all fail, the failure of the first way is thrown. */
async function firstOf(ways: readonly Way[], signal?: AbortSignal): Promise<Uint8Array> {
  const stop = new AbortController();
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  try {
    return await Promise.any(ways.map((way) => way(either)));
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error;
  } finally {
    stop.abort();
  }
}
