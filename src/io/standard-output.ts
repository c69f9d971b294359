import { EXIT, TsbuilderError, errnoOf } from '../errors.js';
import { writeError } from './free-space.js';

/**
 * Resolves when standard output has taken `data`; a reader that has stopped reading does not hold up an abort.
 *
 * @throws TSB_NO_SPACE, TSB_IO, its cause EPIPE when the reader has gone away
 */
export function writeStdout(data: Uint8Array, signal: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    const stop = (): void => fail(signal.reason as Error);
    signal.addEventListener('abort', stop);
    process.stdout.write(data, (error) => {
      signal.removeEventListener('abort', stop);
      if (!error) {
        done();
        return;
      }
      const failure = writeError('standard output', error);
      fail(failure instanceof Error ? failure : error);
    });
  });
}

/**
 * Runs work that uses `writeStdout`. A reader that goes away (`| head`) ends it quietly, with the status that SIGPIPE would have
 * given.
 */
export async function untilReaderLeaves(work: () => Promise<void>): Promise<void> {
  // The failed write tells; without a listener the stream's error would end the process.
  const heard = (): void => undefined;
  process.stdout.on('error', heard);
  try {
    await work();
  } catch (error) {
    if (!(error instanceof TsbuilderError) || errnoOf(error.cause) !== 'EPIPE') throw error;
    process.exitCode = EXIT.brokenPipe;
  } finally {
    process.stdout.off('error', heard);
  }
}
