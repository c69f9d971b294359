import { exec } from '../io/exec.js';

/** Independent blocks: what lets a template be decoded in parallel and read at any place. */
const BLOCK_SIZE = 16 * 1024 ** 2;

/**
 * Compresses `from` into a new file `to` with `jobs` threads (at least two: with one, xz leaves the sizes out of the
 * block headers). The result does not depend on the number.
 *
 * @throws TSB_TOOL_MISSING, TSB_TOOL_FAILED
 */
export async function compressDisk(
  files: { from: string; to: string },
  jobs: number,
  signal?: AbortSignal,
): Promise<void> {
  const xz = `xz --compress --stdout --check=crc64 -6 --block-size=${BLOCK_SIZE} --threads=${Math.max(2, jobs)}`;
  // The shell redirects, so that the compressed bytes do not pass through this process.
  await exec('sh', ['-c', `exec ${xz} <"$1" >"$2"`, 'sh', files.from, files.to], {
    signal,
    debianPackage: 'xz-utils',
  });
}
