import { TsbuilderError } from '../../errors.js';

/** The error for an archive that cannot be used; `offset` is where in it, bytes. */
export function tarError(name: string, offset: number, text: string): TsbuilderError {
  return new TsbuilderError('TSB_USAGE', `${name}: at byte ${offset}: ${text}`, {
    details: { name, offset },
  });
}
