import type { Progress } from '../progress.js';
import type { Guest, GuestFiles } from './guest.js';
import type { GuestOs } from './inspect.js';

/** Which disk a libguestfs appliance works on, and with what. */
export interface ApplianceOptions {
  /** The disk's file, which is changed. */
  readonly disk: string;
  /** Its format, never guessed from its content. Default: raw. */
  readonly format?: 'raw' | 'qcow2' | undefined;
  /** Where the system that is meant has its root (`2`, `vg/root`), where the disk has several. Default: the only one. */
  readonly root?: string | undefined;
  /** Bytes of one sector. Default: 512. */
  readonly sectorSize?: number | undefined;
  /** More disks or ISO images for the scripts, by absolute path, not written. */
  readonly attach?: readonly string[] | undefined;
  /** Bytes of memory. Default: libguestfs's own. */
  readonly memory?: number | undefined;
  /** How many processors. Default: 1. */
  readonly smp?: number | undefined;
  /** Whether scripts reach the network of the host, outwards only. Default: no. */
  readonly network?: boolean | undefined;
  /** Flush what is written to the disk. Default: no. */
  readonly sync?: boolean | undefined;
  /** The present for what `guest()` writes, seconds since 1970. Default: now. */
  readonly fakeTime?: number | undefined;
  /** What needs the appliance (`--install`), for the message when libguestfs is missing. */
  readonly neededFor: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** How a script ended. */
export interface ScriptResult {
  /** Its exit status, 128 and more for a signal. */
  readonly status: number;
  /** The end of what it printed, standard output and standard error together: at most 1 MiB. */
  readonly output: string;
}

/**
 * A libguestfs appliance with the filesystems of the guest mounted. Calls may overlap; they are done one after the other.
 * Disposing it without `close()` kills it: the disk is in an unknown state then.
 */
export interface ApplianceSession extends AsyncDisposable {
  /** What the guest is. */
  readonly os: GuestOs;
  /** Its files as they are now. */
  readonly files: GuestFiles;
  /**
   * Runs a POSIX shell script as root inside the guest, from its root folder. What it prints is reported as
   * details while it runs, and appended to the guest's file `log`, if named. The script's own folder, `${0%/*}`, is
   * removed afterwards, and what it has left running is ended.
   *
   * @throws TSB_GUEST when the guest is no Linux, or its programs are for another processor than this machine's;
   *   TSB_TOOL_FAILED when the appliance fails; not when the script does
   */
  run(script: string, options?: { readonly log?: string | undefined }): Promise<ScriptResult>;
  /**
   * The guest's files with changes, on any filesystem that Linux can write. `commit()` writes them all, but where it
   * fails in the middle, some have been written. Invalid once a script has run. Disposing it leaves the session open.
   */
  guest(): Guest;
  /**
   * Writes everything to the disk and ends the appliance.
   *
   * @throws TSB_TOOL_FAILED when not everything could be written
   */
  close(): Promise<void>;
}

/** What {@link ApplianceSession} is opened with: `openApplianceSession`, or another one in tests. */
export type OpenApplianceSession = (options: ApplianceOptions) => Promise<ApplianceSession>;
