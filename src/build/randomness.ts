import { type RandomSource, seededRandom, systemRandom } from '../io/random.js';

/** What makes two runs differ: random bytes and the present. */
export interface Randomness {
  readonly random: RandomSource;
  /** Seconds since 1970 for all times that are written; undefined: now. */
  readonly fakeTime: number | undefined;
}

/**
 * This machine's random source and its clock, or, with a seed, bytes that follow from it and always the same moment
 * (`SOURCE_DATE_EPOCH`, if that is set).
 */
export function randomness(seed: string | undefined): Randomness {
  if (seed === undefined) return { random: systemRandom(), fakeTime: undefined };
  const epoch = Number(process.env['SOURCE_DATE_EPOCH']);
  const fakeTime = Number.isSafeInteger(epoch) && epoch > 0 ? epoch : 1_700_000_000;
  return { random: seededRandom(seed), fakeTime };
}
