import { seedSystemdBoot } from '../customize/esp-seed.js';
import { seedGuest } from '../customize/seed-guest.js';
import type { TsbuilderError } from '../errors.js';
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
  const { work, random, progress, signal, fakeTime } = options;
  using _ = progress.step(work.stages.length > 0 ? 'Seeding and customising' : 'Seeding');
  const systems = await findSystemsIn(path, signal);
  const seeds = new Map<GuestRoot | undefined, Seeds>();
  const customize = async (
    root: GuestRoot | undefined,
    stages: CustomizeWork['stages'],
  ): Promise<CustomizeDone> => {
    const prepare = async (guest: Guest): Promise<void> =>
      void seeds.set(root, await seedOne(guest, { ...options, stages }));
    const state = beginCustomizing({ ...work, stages }, options, prepare);
    await customizeSystem(path, root, state);
    return doneSoFar(state);
  };
  const meant = work.stages.length > 0 ? systemMeant(path, systems, work.root) : onlyOne(systems, options);
  const others = systems.roots.filter((root) => root !== meant);
  for (const root of others) await customize(root, []);
  const customized = meant || work.stages.length > 0 ? await customize(meant, work.stages) : undefined;
  const missed = [...seeds.values()].flatMap((each) => each.missed);
  if (missed[0]) progress.warn(missedWarning(missed[0]));
  const esp = await seedSystemdBoot(
    { path, partitions: systems.partitions },
    { random, fakeTime, signal, warn: (message) => progress.warn(message) },
  );
  return {
    ...(customized ?? NOTHING_DONE),
    seeded: [...[...seeds.values()].flatMap(({ lines }) => lines), ...esp],
  };
}

/** What became of the seeds of a system. */
interface Seeds {
  readonly lines: readonly string[];
  /** Where they could not be written. */
  readonly missed: readonly TsbuilderError[];
}

/**
 * Seeds a system. Where programs of it are run anyway, what is on a filesystem that only a session can change is an error: the session does
 * it all then. Otherwise it is not worth starting one.
 */
async function seedOne(
  guest: Guest,
  { random, plan, stages }: Pick<SeedOptions, 'random' | 'plan'> & Pick<CustomizeWork, 'stages'>,
): Promise<Seeds> {
  const missed: TsbuilderError[] = [];
  const inSession = stages.some(({ runs }) => runs === 'in-guest');
  const onUnreachable = (error: TsbuilderError): void => {
    if (inSession && error.details['reason'] === 'other-filesystem') throw error;
    missed.push(error);
  };
  return { lines: await seedGuest(guest, { random, machineId: plan.machineId, onUnreachable }), missed };
}

function missedWarning({ message, details }: TsbuilderError): string {
  const how =
    details['reason'] === 'other-filesystem'
      ? ' (an operation that runs in the guest, such as --run-command true, would have it written)'
      : '';
  return `a random seed or machine-id could not be written, so what the template has there stays: ${message}${how}`;
}

/** Filesystems, and what has them, that only libguestfs reads and a Linux system may be on. */
const FOREIGN = ['xfs', 'btrfs', 'lvm-pv'];

/** The system that the summary speaks of. */
function onlyOne(
  { roots, partitions }: FoundSystems,
  { progress }: SeedOptions,
): FoundSystems['roots'][number] | undefined {
  const foreign = partitions.filter(({ content }) => FOREIGN.includes(content.kind));
  if (roots.length === 0 && foreign.length > 0) {
    const places = foreign.map(({ number, content }) => `partition ${number} (${content.name})`).join(', ');
    progress.warn(
      `no random seed or machine-id was written: the system must be on ${places}, which only libguestfs reads (any operation, such as --hostname, would have them written)`,
    );
  } else if (roots.length === 0) {
    progress.warn(
      'no Linux system was found on an ext filesystem, so no random seed or machine-id was written',
    );
  }
  return roots.length === 1 ? roots[0] : undefined;
}
