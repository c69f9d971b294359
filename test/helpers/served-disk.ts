import { newCounters } from '../../src/io/counters.js';
import { type Progress, silentProgress } from '../../src/progress.js';
import type { ServedDiskOptions } from '../../src/serve/open-disk.js';
import { FAST } from './http-server.js';

/** Options that open a disk in tests, without any source of templates; `warnings` gets what the user would see. */
export function servedOptions(
  changes: Partial<ServedDiskOptions> = {},
  warnings: string[] = [],
): ServedDiskOptions {
  const progress: Progress = { ...silentProgress, warn: (message) => warnings.push(message) };
  const { signal } = new AbortController();
  return {
    cacheBytes: 64 * 1024 * 1024,
    jobs: 2,
    templates: {
      sources: [],
      fingerprints: [],
      keys: [],
      checkSignature: true,
      allowRollback: false,
      cacheDir: undefined,
      offline: false,
      progress,
      signal,
    },
    http: FAST,
    counters: newCounters(),
    progress,
    signal,
    ...changes,
  };
}
