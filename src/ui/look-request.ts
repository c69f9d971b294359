import { TsbuilderError } from '../errors.js';
import { decodeJobs } from '../io/native.js';
import type { Progress } from '../progress.js';
import { parseImagePart } from '../serve/image-part.js';
import type { LookRequest } from '../serve/run-look.js';
import type { ServedFormat } from '../serve/served-disk.js';
import { type SourceFlagValues, templateQuery } from './template-query.js';

/** The flags that `ls` and `cat` share. */
interface LookFlagValues extends SourceFlagValues {
  readonly arch?: string | undefined;
  readonly jobs?: number | undefined;
  readonly partition?: number | undefined;
  readonly format?: ServedFormat | undefined;
  readonly 'require-verified': boolean;
}

/**
 * What `SRC[:PART]` and the flags of a command ask for.
 *
 * @throws TSB_USAGE when two partitions are named
 */
export function lookRequest(
  image: string,
  command: { readonly flags: LookFlagValues; readonly progress: Progress; readonly signal: AbortSignal },
): LookRequest {
  const { flags, progress, signal } = command;
  const { src, partition } = parseImagePart(image);
  if (partition !== undefined && flags.partition !== undefined && partition !== flags.partition) {
    throw new TsbuilderError(
      'TSB_USAGE',
      `${image} names partition ${partition}, and --partition names ${flags.partition}`,
    );
  }
  return {
    src,
    partition: partition ?? flags.partition,
    open: {
      jobs: decodeJobs(flags.jobs),
      format: flags.format,
      requireVerified: flags['require-verified'],
      arch: flags.arch,
      templates: templateQuery(flags, command),
      progress,
      signal,
    },
  };
}
