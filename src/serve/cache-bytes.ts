import { totalmem } from 'node:os';

/** A quarter of the memory that this process may use: the machine's, or less where a container limits it. Bytes. */
export function defaultCacheBytes(): number {
  // 0 or a huge number where there is no limit.
  const limit = process.constrainedMemory();
  const total = totalmem();
  return Math.floor((limit > 0 && limit < total ? limit : total) / 4);
}
