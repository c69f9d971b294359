import type { TemplateQuery } from '../build/open-templates.js';
import type { Progress } from '../progress.js';

/** The values of the flags in `sourceFlags` that choose indexes. */
export interface SourceFlagValues {
  readonly source?: readonly string[] | undefined;
  readonly fingerprint?: readonly string[] | undefined;
  readonly key?: readonly string[] | undefined;
  readonly 'check-signature': boolean;
  readonly 'allow-rollback': boolean;
  readonly cache?: string | undefined;
  readonly offline: boolean;
}

/** The query that the flags of a command stand for. */
export function templateQuery(
  flags: SourceFlagValues,
  command: { progress: Progress; signal: AbortSignal },
): TemplateQuery {
  return {
    sources: flags.source ?? [],
    fingerprints: flags.fingerprint ?? [],
    keys: flags.key ?? [],
    checkSignature: flags['check-signature'],
    allowRollback: flags['allow-rollback'],
    cacheDir: flags.cache,
    offline: flags.offline,
    progress: command.progress,
    signal: command.signal,
  };
}
