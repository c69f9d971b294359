import { seedSystemdBoot } from '../customize/esp-seed.js';
import { seedGuest } from '../customize/seed-guest.js';
import type { GuestRoot } from '../guest/find-root.js';
import type { Guest } from '../guest/guest.js';
import { type FoundSystems, findSystemsIn, systemMeant } from './choose-root.js';
import {
  type CustomizeDone,
  type CustomizeMeans,
  type CustomizeWork,
  NOTHING_DONE,
  beginCustomizing,
  doneSoFar,
} from './customize-work.js';
import type { BuildPlan } from './plan-build.js';
import { customizeSystem } from './run-customize.js';

/** How the systems on a new disk are made ones of their own. */
export interface SeedOptions extends CustomizeMeans {
  readonly plan: Pick<BuildPlan, 'machineId'>;
  /** What is done besides to the system that is meant. */
  readonly work: CustomizeWork;
}

/** What was done to the systems on a disk. */
export interface SeededDisk extends CustomizeDone {
  /** What was seeded, one line each. */
  readonly seeded: readonly string[];
}

/**
 * Gives every Linux system on the raw disk at `path` a random seed and a machine-id of its own, and does operations to the one
 * that is meant: those that come first with the same commit.
 *
 * @throws TSB_FILESYSTEM, TSB_GUEST, TSB_TOOL_MISSING, and what the operations throw
 */
export async function seedDisk(path: string, options: SeedOptions): Promise<SeededDisk> {
  const { plan, work, random, progress, signal, fakeTime } = options;
  using _ = progress.step(work.stages.length > 0 ? 'Seeding and customising' : 'Seeding');
  const systems = await findSystemsIn(path, signal);
  const seeded = new Map<GuestRoot | undefined, readonly string[]>();
  const customize = async (
    root: GuestRoot | undefined,
    stages: CustomizeWork['stages'],
  ): Promise<CustomizeDone> => {
    const prepare = async (guest: Guest): Promise<void> =>
      void seeded.set(root, await seedGuest(guest, { random, machineId: plan.machineId }));
    const state = beginCustomizing({ ...work, stages }, options, prepare);
    await customizeSystem(path, root, state);
    return doneSoFar(state);
  };
  const meant = work.stages.length > 0 ? systemMeant(path, systems, work.root) : onlyOne(systems, options);
  const others = systems.roots.filter((root) => root !== meant);
  for (const root of others) await customize(root, []);
  const customized = meant || work.stages.length > 0 ? await customize(meant, work.stages) : undefined;
  const esp = await seedSystemdBoot(
    { path, partitions: systems.partitions },
    { random, fakeTime, signal, warn: (message) => progress.warn(message) },
  );
  return { ...(customized ?? NOTHING_DONE), seeded: [...[...seeded.values()].flat(), ...esp] };
}

/** The system that the summary speaks of. */
function onlyOne(
  { roots }: FoundSystems,
  { progress }: SeedOptions,
): FoundSystems['roots'][number] | undefined {
  if (roots.length === 0) {
    progress.warn(
      'no Linux system was found on an ext filesystem, so no random seed or machine-id was written',
    );
  }
  return roots.length === 1 ? roots[0] : undefined;
}
