import type { CustomizeSettings } from '../customize/customize-list.js';
import type { CustomizeContext, HostKeyFingerprint } from '../customize/operation-kind.js';
import type { CustomizeStage } from '../customize/plan-customize.js';
import type { RootLogin } from '../customize/root-login.js';
import type { OpenApplianceSession } from '../guest/appliance-session.js';
import type { Guest } from '../guest/guest.js';
import type { RandomSource } from '../io/random.js';
import { withoutTempNames } from '../io/temp-name.js';
import type { Progress } from '../progress.js';
import type { CloudInitDisk } from './cloud-init-disk.js';

/** What is to be done to a guest. */
export interface CustomizeWork {
  readonly stages: readonly CustomizeStage[];
  readonly settings: CustomizeSettings;
  /** Whether the disk, its partitions and its filesystems get new ids when all else is done. Default: they keep theirs. */
  readonly diskIds?: 'new' | 'keep' | undefined;
  /** The partition of the system that is meant, where the disk has several. */
  readonly root?: string | undefined;
  /** A disk for cloud-init to be made beside the image. */
  readonly cloudInitDisk?: CloudInitDisk | undefined;
  /** What programs that run in the guest find there. */
  readonly machine: GuestMachine;
}

/** The machine that programs of the guest run in. */
export interface GuestMachine {
  /** Whether they reach the network. */
  readonly network: boolean;
  /** Bytes of memory. */
  readonly memory?: number | undefined;
  readonly smp?: number | undefined;
  /** More disks or ISO images, by path. */
  readonly attach?: readonly string[] | undefined;
}

/** What the work is done with. */
export interface CustomizeMeans {
  readonly random: RandomSource;
  /** Seconds since 1970 for all times that are written; undefined: now. */
  readonly fakeTime?: number | undefined;
  readonly sync: boolean;
  /** The open file that locks the disk, where it is changed itself. */
  readonly lockFd?: number | undefined;
  /** Default: libguestfs. */
  readonly openSession?: OpenApplianceSession | undefined;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** A secret that was made on the way. */
export interface MadeSecret {
  readonly label: string;
  readonly value: string;
}

/** What was done to a guest. */
export interface CustomizeDone {
  /** One line for each operation. */
  readonly done: readonly string[];
  readonly secrets: readonly MadeSecret[];
  /** The host keys that were made. */
  readonly hostKeys: readonly HostKeyFingerprint[];
  /** Whether root can log in with a password now; undefined where that is not known. */
  readonly rootLogin: RootLogin | undefined;
}

/** The work while it is under way: what operations may use, and what has come of them. */
export interface CustomizeState {
  readonly work: CustomizeWork;
  readonly means: CustomizeMeans;
  readonly context: CustomizeContext;
  /** Done before the first operation, with the same commit as those that follow it. */
  readonly prepare?: ((guest: Guest) => Promise<void>) | undefined;
  readonly done: string[];
  secrets: readonly MadeSecret[];
  hostKeys: readonly HostKeyFingerprint[];
  rootLogin: RootLogin | undefined;
}

/** Begins the work: nothing is done yet. */
export function beginCustomizing(
  work: CustomizeWork,
  means: CustomizeMeans,
  prepare?: CustomizeState['prepare'],
): CustomizeState {
  const context: CustomizeContext = {
    random: means.random,
    now: means.fakeTime ?? Math.floor(Date.now() / 1000),
    // What is worked on has the name of a temporary file, the guest's name in messages.
    warn: (message) => means.progress.warn(withoutTempNames(message)),
    secret: (label, value) => {
      const others = state.secrets.filter((secret) => secret.label !== label);
      state.secrets = value === undefined ? others : [...others, { label, value }];
    },
    hostKeys: (keys) => {
      state.hostKeys = keys;
    },
    passwordCrypto: work.settings.passwordCrypto,
    signal: means.signal,
  };
  const state: CustomizeState = {
    work,
    means,
    context,
    prepare,
    done: [],
    secrets: [],
    hostKeys: [],
    rootLogin: undefined,
  };
  return state;
}

/** What the work has come to. */
export function doneSoFar({ done, secrets, hostKeys, rootLogin }: CustomizeState): CustomizeDone {
  return { done, secrets, hostKeys, rootLogin };
}

/** Where there was nothing to do to a guest. */
export const NOTHING_DONE: CustomizeDone = { done: [], secrets: [], hostKeys: [], rootLogin: undefined };
