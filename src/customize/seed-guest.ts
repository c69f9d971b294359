import { TsbuilderError } from '../errors.js';
import type { Guest } from '../guest/guest.js';
import type { RandomSource } from '../io/random.js';
import { type MachineIdChoice, setMachineId } from './machine-id.js';
import { writeRandomSeeds } from './random-seed.js';

/** How a guest becomes one of its own. */
export interface SeedOptions {
  readonly random: RandomSource;
  /** Default: `random`. */
  readonly machineId?: MachineIdChoice | undefined;
  /**
   * Told, once for the seeds and once for the ids, where a file is on a filesystem that cannot be changed here: those that can be are. Default:
   * that is an error.
   */
  readonly onUnreachable?: ((error: TsbuilderError) => void) | undefined;
}

/**
 * Gives a guest its own random seed and machine-id, so that two disks made from one template do not share secrets or
 * identity. The caller commits.
 *
 * @returns what was done, one line each, for the summary
 * @throws TSB_GUEST when a file of the guest is in the way
 */
export async function seedGuest(guest: Guest, options: SeedOptions): Promise<string[]> {
  if (guest.os.type !== 'linux') return [];
  const { machineId = 'random', random, onUnreachable } = options;
  const done: string[] = [];
  const doAll = async (paths: AsyncGenerator<string>, line: (path: string) => string): Promise<void> => {
    try {
      for await (const path of paths) done.push(line(path));
    } catch (error) {
      if (!onUnreachable || !isUnreachable(error)) throw error;
      onUnreachable(error);
    }
  };
  await doAll(writeRandomSeeds(guest, random), (path) => `random seed ${path}`);
  await doAll(setMachineId(guest, machineId, random), (path) => `machine-id ${path} (${machineId})`);
  return done;
}

function isUnreachable(error: unknown): error is TsbuilderError {
  if (!(error instanceof TsbuilderError)) return false;
  return ['other-filesystem', 'not-on-disk'].includes(String(error.details['reason']));
}
