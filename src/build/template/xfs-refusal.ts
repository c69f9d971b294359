import { TsbuilderError } from '../../errors.js';

/** The error for a file of the tree, by its path from the root, that the layout xfs cannot hold as it is. */
export function cannotHold(path: string, what: string): TsbuilderError {
  return new TsbuilderError('TSB_FILESYSTEM', `/${path}: layout xfs cannot hold ${what}`, {
    hint: "Leave out the package that has it, remove it in the recipe's script, or choose another layout.",
  });
}
