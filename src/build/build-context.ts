import type { TemplateCache } from '../index-repo/template-cache.js';
import type { TemplateEntry } from '../index-repo/template-entry.js';
import type { Progress } from '../progress.js';
import type { CustomizeWork } from './customize-work.js';

/** What a build works with besides its plan. */
export interface BuildContext {
  readonly entry: TemplateEntry;
  readonly cache: TemplateCache;
  readonly jobs: number;
  readonly force: boolean;
  readonly sync: boolean;
  readonly offline: boolean;
  readonly noCache: boolean;
  readonly compress?: 'zlib' | 'zstd' | undefined;
  readonly clusterSize?: number | undefined;
  /** What is done to the guest besides seeding it. */
  readonly work: CustomizeWork;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}
