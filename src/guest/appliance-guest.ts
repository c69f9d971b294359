import { commitToAppliance } from './appliance-commit.js';
import type { ApplianceBase } from './appliance-base.js';
import type { GuestfishShell } from './appliance-shell.js';
import { guestEdits } from './edit-files.js';
import type { Guest } from './guest.js';
import type { GuestOs } from './inspect.js';
import { oneAtATime } from '../io/one-at-a-time.js';
import type { AbsentMount } from './mounted/mount.js';
import { mountedGuest } from './mounted/mounted-guest.js';
import { guestFiles } from './read-files.js';
import { labelNewFiles } from './selinux/label-new-files.js';
import { openSpool } from './spool.js';
import { type Tree, openTree } from './tree.js';

/** What a guest over an appliance works with. */
export interface ApplianceGuestContext {
  readonly os: GuestOs;
  readonly shell: GuestfishShell;
  /** A folder of this machine for files on their way. */
  readonly folder: string;
  /** Seconds since 1970. */
  readonly now: number;
  /** What the appliance has mounted, as it is now. */
  readonly base: ApplianceBase;
  /** The same after a commit. */
  readonly refresh: () => Promise<ApplianceBase>;
  /** What the guest mounts that is not on its disk: nothing is changed there. */
  readonly absent: readonly AbsentMount[];
}

/** A {@link Guest} over what is mounted in an appliance. */
export function applianceGuest(context: ApplianceGuestContext): Guest {
  const guest = guestOver(context);
  const { os, absent } = context;
  if (absent.length === 0) return guest;
  const commitAtOnce = async (): Promise<undefined> => guest.commit().then(() => undefined);
  const root = { point: '/', files: { ...guest, prepareCommit: commitAtOnce } };
  return mountedGuest({ root, mounts: [root], absent, enterAbsent: () => undefined }, os);
}

function guestOver(context: ApplianceGuestContext): Guest {
  const { os, now } = context;
  let { base } = context;
  let tree = openTree(base, now);
  const current = (): Tree => tree;
  const serially = oneAtATime();
  const spool = openSpool();
  return {
    os,
    ...guestFiles(current, serially),
    ...guestEdits(current, serially, spool),
    commit: () =>
      serially(async () => {
        const inside = guestFiles(current, (job) => job());
        if (os.selinux) await labelNewFiles(tree, inside, os.selinux);
        base = await commitToAppliance({ base, tree }, context);
        tree = openTree(base, now);
      }),
    [Symbol.asyncDispose]: () => spool[Symbol.asyncDispose](),
  };
}
