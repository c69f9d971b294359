import { readFileSync } from 'node:fs';
import { type NativeFunction, loadNativeLibrary } from './native.js';

/** madvise(2), the same number on all architectures of Linux. */
const MADV_HUGEPAGE = 14;
/** More than the stack of a thread, which must not grow by huge pages. */
const LARGE = 12 * 1024 * 1024;

/**
 * Asks for huge pages under all large private memory of this process, best before it is first touched. Only a hint, which changes no
 * content: where the system has none nothing happens.
 */
export function adviseHugePages(): void {
  const advise = madvise();
  if (!advise) return;
  for (const { start, length } of largeMappings(readFileSync('/proc/self/maps', 'latin1')))
    advise(start, length, MADV_HUGEPAGE);
}

/** The large mappings without file or name that can be written, in the text of `/proc/PID/maps` (proc(5)). */
export function largeMappings(maps: string): { readonly start: bigint; readonly length: number }[] {
  return [...maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw.p 00000000 00:00 0 *$/gm)]
    .map(([, from = '0', to = '0']) => {
      const start = BigInt(`0x${from}`);
      return { start, length: Number(BigInt(`0x${to}`) - start) };
    })
    .filter(({ length }) => length >= LARGE);
}

let cached: { readonly advise: NativeFunction | undefined } | undefined;

function madvise(): NativeFunction | undefined {
  if (!cached) {
    const library = process.platform === 'linux' ? loadNativeLibrary(['libc.so.6', 'libc.so']) : undefined;
    cached = { advise: library?.bind('int madvise(uint64_t address, uint64_t length, int advice)') };
  }
  return cached.advise;
}
