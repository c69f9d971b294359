import { EXIT } from '../errors.js';
import { printable } from '../io/printable.js';
import type { LoadedIndex } from './load-indexes.js';

/** Sources whose servers could not be reached, in one line. */
export interface AwayNote {
  /** One sentence for a warning. */
  readonly text: string;
  /** Whether one of them was found to be away only now, and not already within the last hour. */
  readonly isNew: boolean;
}

/**
 * What to tell of sources that could not be reached while others could, or while a copy of their index could be used.
 * Undefined when all were there.
 */
export function noteOfAway(loaded: readonly LoadedIndex[]): AwayNote | undefined {
  const away = loaded.filter(isAway);
  if (away.length === 0) return undefined;
  const copies = away.filter(({ error }) => error === undefined).map(describeCopy);
  const missing = away.filter(({ error }) => error !== undefined).map(({ source }) => printable(source.name));
  const parts = [
    ...(missing.length > 0 ? [`not used because out of reach: ${missing.join(', ')}`] : []),
    ...(copies.length > 0 ? [`out of reach, using the copy of the index: ${copies.join(', ')}`] : []),
  ];
  const noun = away.length === 1 ? 'source' : 'sources';
  return {
    text: `${noun} ${parts.join('; ')} (--verbose says why)`,
    isNew: away.some(({ error, awaySince }) => awaySince === undefined && error?.code !== 'TSB_OFFLINE'),
  };
}

/** Whether the server of this source could not be reached; a copy of its index may serve all the same. */
export function isAway({ error, away }: LoadedIndex): boolean {
  return (error ?? away)?.exit === EXIT.network;
}

function describeCopy({ source, createdAt }: LoadedIndex): string {
  return `${printable(source.name)} (signed ${createdAt?.toISOString().slice(0, 10) ?? 'never'})`;
}
