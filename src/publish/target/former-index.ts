import { TsbuilderError } from '../../errors.js';
import type { PublishTarget, TargetOptions } from './publish-target.js';

/** The index that is to be replaced. */
export interface FormerIndex {
  /** Its text as it was read when the work began; undefined when there was none. */
  readonly former: string | undefined;
}

/** What is said when another publisher was faster. */
export function otherIndex(target: string): TsbuilderError {
  return new TsbuilderError('TSB_CONTENT_CHANGED', `${target}: another publisher has put its index there`, {
    hint: 'That one holds now. See that it is of the same repository, then run the command again.',
  });
}

/** Refuses to go on when `name` is not what it was, as another publisher was faster. @throws TSB_CONTENT_CHANGED */
export async function assertFormer(
  target: Pick<PublishTarget, 'name' | 'readText'>,
  name: string,
  { former, signal }: FormerIndex & TargetOptions,
): Promise<void> {
  if ((await target.readText(name, { signal })) !== former) throw otherIndex(target.name);
}
