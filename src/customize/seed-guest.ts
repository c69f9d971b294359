import type { Guest } from '../guest/guest.js';
import type { RandomSource } from '../io/random.js';
import { type MachineIdChoice, setMachineId } from './machine-id.js';
import { writeRandomSeeds } from './random-seed.js';

/** How a guest becomes one of its own. */
export interface SeedOptions {
  readonly random: RandomSource;
  /** Default: `random`. */
  readonly machineId?: MachineIdChoice | undefined;
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
  const choice = options.machineId ?? 'random';
  const seeds = await writeRandomSeeds(guest, options.random);
  const ids = await setMachineId(guest, choice, options.random);
  return [
    ...seeds.map((path) => `random seed ${path}`),
    ...ids.map((path) => `machine-id ${path} (${choice})`),
  ];
}
