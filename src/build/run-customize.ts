import { TsbuilderError } from '../errors.js';
import type { CustomizeStage } from '../customize/plan-customize.js';
import type { OpenApplianceSession } from '../guest/appliance-session.js';
import type { GuestRoot } from '../guest/find-root.js';
import type { Guest } from '../guest/guest.js';
import { openRoot } from '../guest/open-guest.js';
import { findSystemsIn, systemMeant } from './choose-root.js';
import { applyStage, finishGuest, runStage } from './customize-stage.js';
import {
  type CustomizeDone,
  type CustomizeMeans,
  type CustomizeState,
  type CustomizeWork,
  beginCustomizing,
  doneSoFar,
} from './customize-work.js';

/**
 * Does the work to the one system that is meant on the raw disk at `path`, as `customizeSystem`.
 *
 * @throws TSB_GUEST when there is no such system, and as `customizeSystem`
 */
export async function customizeDisk(
  path: string,
  work: CustomizeWork,
  means: CustomizeMeans,
): Promise<CustomizeDone> {
  const state = beginCustomizing(work, means);
  const systems = await findSystemsIn(path, means.signal);
  await customizeSystem(path, systemMeant(path, systems, work.root), state);
  return doneSoFar(state);
}

/**
 * Does the work of `state` to a system that has been found. What can be done by changing ext filesystems is done so,
 * each run of it as a whole or not at all; what cannot is done in one libguestfs session, which also does the offline stages
 * between the others. An error leaves the disk as the stages before it have made it.
 *
 * @param root undefined: on a filesystem that only libguestfs reads
 * @throws TSB_TOOL_MISSING without libguestfs, and what the operations throw
 */
export async function customizeSystem(
  path: string,
  root: GuestRoot | undefined,
  state: CustomizeState,
): Promise<void> {
  const { stages } = state.work;
  const offline = (task: SessionTask): Promise<void> => changeGuest(path, root, { state, task });
  const { prepare: before } = state;
  const after = (guest: Guest): Promise<void> => finishGuest(guest, state);
  const first = stages.findIndex(({ runs }) => runs === 'in-guest');
  if (first < 0) return offline({ before, stages, after });
  if (!root) return inSession({ path, root }, state, { before, stages, after });
  const last = stages.findLastIndex(({ runs }) => runs === 'in-guest');
  if (first > 0 || before) await offline({ before, stages: stages.slice(0, first) });
  await inSession({ path, root }, state, { stages: stages.slice(first, last + 1) });
  await offline({ stages: stages.slice(last + 1), after });
}

/** Does a task of offline stages: on ext filesystems, or, where it meets others or names that debugfs cannot be told, in a session. */
async function changeGuest(
  path: string,
  root: GuestRoot | undefined,
  { state, task }: { state: CustomizeState; task: SessionTask },
): Promise<void> {
  if (!root) return inSession({ path, root }, state, task);
  const [done, secrets] = [state.done.length, state.secrets];
  try {
    await using guest = await openRoot(path, root, state.means);
    await task.before?.(guest);
    for (const stage of task.stages) await applyStage(guest, stage, state);
    await task.after?.(guest);
    await guest.commit();
  } catch (error) {
    if (!needsSession(error)) throw error;
    state.means.progress.detail(error.message);
    // Nothing was committed: it is all done again.
    state.done.length = done;
    state.secrets = secrets;
    await inSession({ path, root }, state, task);
  }
}

const FOR_SESSION: readonly unknown[] = ['other-filesystem', 'inexpressible'];

function needsSession(error: unknown): error is TsbuilderError {
  return error instanceof TsbuilderError && FOR_SESSION.includes(error.details['reason']);
}

/** What is done in a session: stages, and edits before and after them. */
interface SessionTask {
  readonly before?: ((guest: Guest) => Promise<void>) | undefined;
  readonly stages: readonly CustomizeStage[];
  readonly after?: ((guest: Guest) => Promise<void>) | undefined;
}

async function inSession(
  { path: disk, root }: { path: string; root: GuestRoot | undefined },
  state: CustomizeState,
  task: SessionTask,
): Promise<void> {
  const { means, work } = state;
  const system = { disk, root: root?.volume.id ?? work.root };
  const open = means.openSession ?? (await libguestfs());
  await using session = await open({
    ...work.machine,
    ...means,
    ...system,
    neededFor: neededFor(task.stages),
  });
  const change = async (edit: (guest: Guest) => Promise<void>): Promise<void> => {
    await using guest = session.guest();
    await edit(guest);
    await guest.commit();
  };
  if (task.before) await change(task.before);
  for (const stage of task.stages) {
    if (stage.runs === 'in-guest') await runStage(session, stage, state);
    else await change((guest) => applyStage(guest, stage, state));
  }
  if (task.after) await change(task.after);
  await session.close();
}

/** The operation that cannot be done without a session: the first that runs programs, else the first. */
function neededFor(stages: readonly CustomizeStage[]): string {
  const stage = stages.find(({ runs }) => runs === 'in-guest') ?? stages[0];
  return `--${stage?.operations[0]?.kind.name ?? 'customize'}`;
}

async function libguestfs(): Promise<OpenApplianceSession> {
  return (await import('../guest/open-appliance-session.js')).openApplianceSession;
}
