import { open, readFile } from 'node:fs/promises';
import { dataRanges } from '../image/extents.js';
import { exec } from '../io/exec.js';
import type { Progress } from '../progress.js';
import { endingWithParent } from './template-root.js';

/** Independent blocks: what lets a template be decoded in parallel and read at any place. */
const BLOCK_SIZE = 16 * 1024 ** 2;

const POLL_MS = 250;

/**
 * Compresses the disk `from` into a new file `to` with `jobs` threads (at least two: with one, xz leaves the sizes out of
 * the block headers). The result does not depend on the number. Progress counts the bytes that are not in holes.
 *
 * @throws TSB_TOOL_MISSING, TSB_TOOL_FAILED
 */
export async function compressDisk(
  files: { from: string; to: string },
  options: { jobs: number; progress: Progress; signal?: AbortSignal | undefined },
): Promise<void> {
  const { jobs, progress, signal } = options;
  const dataBefore = await dataMeter(files.from);
  using step = progress.step('Compressing the disk', dataBefore(Infinity));
  let done = 0;
  const advanceTo = (position: number): void => {
    const now = dataBefore(position);
    if (now > done) step.advance(now - done);
    done = Math.max(done, now);
  };
  const xz = `xz --compress --stdout --check=crc64 -6 --block-size=${BLOCK_SIZE} --threads=${Math.max(2, jobs)}`;
  // The shell redirects, so that the compressed bytes do not pass through this process.
  const shell = ['sh', '-c', `exec ${xz} <"$1" >"$2"`, 'sh', files.from, files.to];
  let timer: NodeJS.Timeout | undefined;
  const onStart = (pid: number): void => {
    timer = setInterval(() => void readPosition(pid).then(advanceTo), POLL_MS);
  };
  try {
    await exec(...endingWithParent(shell), { name: 'xz', onStart, signal, debianPackage: 'xz-utils' });
    advanceTo(Infinity);
  } finally {
    clearInterval(timer);
  }
}

/** A function that tells how many bytes of the file in front of a position are not in holes. */
async function dataMeter(path: string): Promise<(position: number) => number> {
  await using handle = await open(path, 'r');
  const ranges = [...dataRanges(handle.fd, (await handle.stat()).size)];
  return (position) =>
    ranges.reduce((sum, { offset, length }) => sum + Math.max(0, Math.min(length, position - offset)), 0);
}

/** How far a process has read its standard input (proc(5), fdinfo); 0 where that cannot be seen. */
async function readPosition(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/fdinfo/0`, 'utf8').catch(() => '');
  return Number(/^pos:\s*(\d+)$/m.exec(text)?.[1] ?? 0);
}
