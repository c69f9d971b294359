import { TsbuilderError } from '../errors.js';
import { applyOperation, isFileOperation, named } from '../customize/apply-operations.js';
import type { SystemOperationKind } from '../customize/operation-kind.js';
import { type CustomizeStage, describeOperation } from '../customize/plan-customize.js';
import { rootLogin } from '../customize/root-login.js';
import type { ApplianceSession } from '../guest/appliance-session.js';
import type { Guest } from '../guest/guest.js';
import type { CustomizeState } from './customize-work.js';

/** Where virt-builder puts what programs print. */
const LOG = '/tmp/builder.log';

/** How much of what a failed program printed is in the error. */
const MAX_LINES = 10;
const MAX_CHARACTERS = 2000;

/** What SELinux's start-up looks for: relabels all files, then removes it. */
const RELABEL = '/.autorelabel';

/**
 * Does the operations of an offline stage in an open guest, without committing.
 *
 * @throws what the operations throw
 */
export async function applyStage(guest: Guest, stage: CustomizeStage, state: CustomizeState): Promise<void> {
  for (const operation of stage.operations.filter(isFileOperation)) {
    state.means.progress.detail(describeOperation(operation).description);
    state.done.push(await applyOperation(guest, operation, state.context));
  }
}

/**
 * What comes after the last operation, without committing: a mark that all files need labels where programs ran that gave them
 * none or the user wants it, and a look at root's password.
 */
export async function finishGuest(guest: Guest, state: CustomizeState): Promise<void> {
  if (guest.os.selinux && wantsRelabel(state)) await guest.writeFile(RELABEL, '');
  state.rootLogin = await rootLogin(guest);
}

function wantsRelabel({ work }: CustomizeState): boolean {
  return work.settings.selinuxRelabel ?? work.stages.some(({ runs }) => runs === 'in-guest');
}

/**
 * Does the operations of an in-guest stage.
 *
 * @throws TSB_GUEST when a program of the guest fails, and what the session throws
 */
export async function runStage(
  session: ApplianceSession,
  stage: CustomizeStage,
  state: CustomizeState,
): Promise<void> {
  const log = state.work.settings.logfile === false ? undefined : LOG;
  for (const operation of stage.operations) {
    const { kind, value } = operation;
    if (kind.runs !== 'in-guest') throw new Error(`--${kind.name} needs no programs of the guest`);
    const { description } = describeOperation(operation);
    using _ = state.means.progress.step(`Running in the guest: ${description}`);
    await named(kind.name, () => runScript(session, { kind, value, log, description }));
    state.done.push(description);
  }
}

async function runScript(
  session: ApplianceSession,
  what: {
    readonly kind: SystemOperationKind<unknown>;
    readonly value: unknown;
    readonly log: string | undefined;
    readonly description: string;
  },
): Promise<void> {
  const script = await what.kind.script(what.value, session);
  const { status, output } = await session.run(script, { log: what.log });
  if (status === 0) return;
  const tail = output.trimEnd().split('\n').slice(-MAX_LINES).join('\n').slice(-MAX_CHARACTERS);
  const said = tail === '' ? ' and printed nothing' : `:\n${tail}`;
  throw new TsbuilderError(
    'TSB_GUEST',
    `${what.description}: ended with status ${status} in the guest${said}`,
    {
      hint: tail === '' ? undefined : 'All that it printed is shown with --verbose.',
      details: { status },
    },
  );
}
