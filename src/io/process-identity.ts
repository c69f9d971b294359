import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { errnoOf } from '../errors.js';

/**
 * Which process wrote something down. A pid alone lies: it is reused, and it means nothing to another container or
 * another machine that sees the same folder. So it goes with the process's start time and with the table it is in.
 */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot at which the process began (`/proc/PID/stat`, field 22); '0' where there is no /proc. */
  readonly startTime: string;
  /** 16 hex digits naming the process table: a hash of the kernel's boot id and the pid namespace. */
  readonly table: string;
}

let own: ProcessIdentity | undefined;

/** The identity of this process. */
export function ownIdentity(): ProcessIdentity {
  own ??= { pid: process.pid, startTime: startTimeOf(process.pid) ?? '0', table: processTable() };
  return own;
}

/** `identity` as one word of letters, digits and dashes, fit for a file name: at most 48 characters. */
export function formatIdentity(identity: ProcessIdentity): string {
  return `${identity.pid}-${identity.startTime}-${identity.table}`;
}

/** What `formatIdentity` wrote, or undefined when `text` is not of that form. */
export function parseIdentity(text: string): ProcessIdentity | undefined {
  const match = /^([1-9]\d{0,9})-(\d{1,20})-([0-9a-f]{16})$/.exec(text);
  if (!match?.[1] || !match[2] || !match[3]) return undefined;
  return { pid: Number(match[1]), startTime: match[2], table: match[3] };
}

/**
 * Whether the process of `identity` still runs. 'unknown' when it belongs to another process table (another machine,
 * another container, an earlier boot), about which nothing can be said from here.
 */
export function processState(identity: ProcessIdentity): 'alive' | 'dead' | 'unknown' {
  if (identity.table !== ownIdentity().table) return 'unknown';
  if (isZombie(identity.pid)) return 'dead';
  const startTime = startTimeOf(identity.pid);
  if (startTime !== undefined) return startTime === identity.startTime ? 'alive' : 'dead';
  return canBeSignalled(identity.pid) ? 'alive' : 'dead';
}

function startTimeOf(pid: number): string | undefined {
  return statFields(pid)?.[19];
}

/** A process that has ended and whose parent has not asked for its status yet: it writes no more. */
function isZombie(pid: number): boolean {
  return ['Z', 'X'].includes(statFields(pid)?.[0] ?? '');
}

/** `/proc/PID/stat` from the third field (the state) on. */
function statFields(pid: number): string[] | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function processTable(): string {
  const boot = readText('/proc/sys/kernel/random/boot_id')?.trim() ?? hostname();
  return createHash('sha256').update(`${boot}\n${pidNamespace()}`).digest('hex').slice(0, 16);
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function canBeSignalled(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) === 'EPERM';
  }
}
