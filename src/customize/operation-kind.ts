import type { GenericSchema } from 'valibot';
import type { Guest, GuestFiles } from '../guest/guest.js';
import type { GuestOs } from '../guest/inspect.js';
import type { RandomSource } from '../io/random.js';

/** A host key of the guest, as ssh shows it to those who log in for the first time. */
export interface HostKeyFingerprint {
  readonly type: 'ed25519' | 'ecdsa' | 'rsa';
  /** `SHA256:` and base64, as `ssh-keygen -l` prints it. */
  readonly fingerprint: string;
}

/** What an operation may use besides the guest. */
export interface CustomizeContext {
  readonly random: RandomSource;
  /** Seconds since 1970: the time of all dates that are written. */
  readonly now: number;
  /** Tells the user something about the result that needs attention. */
  warn(message: string): void;
  /**
   * Hands over a secret that was made here (a random password), to be shown once or stored where the user said. It replaces what was
   * handed over before with the same label; undefined: that holds no more.
   */
  secret(label: string, value: string | undefined): void;
  /** Tells which host keys the guest has now: those told before are gone. */
  hostKeys(keys: readonly HostKeyFingerprint[]): void;
  readonly passwordCrypto?: 'yescrypt' | 'sha512' | 'sha256' | 'md5' | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A file of this machine that an operation reads. */
export interface HostFile {
  readonly path: string;
  /** A folder will do as well. */
  readonly orFolder?: boolean | undefined;
}

interface KindBase<V> {
  /** The word after the dashes and the key in a YAML list: `append-line`. */
  readonly name: string;
  /** What follows it: `FILE:LINE`; undefined for an operation that takes nothing. */
  readonly argument?: string | undefined;
  /** One line for help, man page and completion. */
  readonly summary: string;
  /** Checks and reads the form in YAML. */
  readonly schema: GenericSchema<unknown, V>;
  /**
   * Reads the form of the command line; the empty string where nothing follows. Files of the host are only named here, read later.
   *
   * @throws TSB_USAGE
   */
  parse(text: string): V;
  /** One line that says what will be done, without secrets, for plans and progress. */
  describe(value: V): string;
  /** The files of this machine that it will read, for a check before any work. */
  hostFiles?(value: V): readonly HostFile[];
  /** Passwords come after everything else, wherever they stand. */
  readonly last?: boolean | undefined;
}

/** An operation that only changes files. */
export interface FileOperationKind<V> extends KindBase<V> {
  readonly runs: 'offline';
  /**
   * Does it, without committing.
   *
   * @returns what was done, where that can be told only from the guest: else it is what `describe` says
   * @throws TSB_GUEST, TSB_NOT_FOUND for a host file, TSB_USAGE
   */
  apply(guest: Guest, value: V, context: CustomizeContext): Promise<void> | Promise<string>;
}

/** An operation that needs the guest's own programs. */
export interface SystemOperationKind<V> extends KindBase<V> {
  readonly runs: 'in-guest';
  /** The POSIX shell script that does it, run as root in the guest's root folder with its network if there is one. */
  script(value: V, guest: { readonly os: GuestOs; readonly files: GuestFiles }): Promise<string>;
}

export type OperationKind<V> = FileOperationKind<V> | SystemOperationKind<V>;

/** One operation to do: a kind with its value. */
export interface Operation<V = unknown> {
  readonly kind: OperationKind<V>;
  readonly value: V;
}
