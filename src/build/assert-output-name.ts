import { TsbuilderError } from '../errors.js';

/**
 * Passes for what can be the name of a disk that is written at many places: not nothing, and not `-`.
 *
 * @throws TSB_USAGE
 */
export function assertOutputName(output: string): void {
  if (output === '') throw new TsbuilderError('TSB_USAGE', 'the name of the output is empty');
  if (output !== '-') return;
  throw new TsbuilderError(
    'TSB_USAGE',
    'a disk cannot go to standard output: it is not written from start to end',
    { hint: 'Name a file; for one that is called so: ./-' },
  );
}
