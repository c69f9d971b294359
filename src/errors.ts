/** Exit statuses of the program, one per class of failure. Part of the public interface: never renumber. */
export const EXIT = {
  internal: 1,
  usage: 2,
  notFound: 3,
  signature: 4,
  checksum: 5,
  network: 6,
  disk: 7,
  guest: 8,
  missingTool: 9,
  interrupted: 130,
  /** 128 and the number of SIGPIPE, as a shell reports a program that died of it. */
  brokenPipe: 141,
} as const;

export type ExitClass = keyof typeof EXIT;

/** Every error code the program can end with, and the exit class it belongs to. Codes are stable. */
export const ERROR_CODES = {
  TSB_INTERNAL: 'internal',
  TSB_USAGE: 'usage',
  TSB_NOT_FOUND: 'notFound',
  TSB_NO_SOURCE: 'notFound',
  TSB_INDEX_SYNTAX: 'signature',
  TSB_INDEX_INVALID: 'signature',
  TSB_INDEX_UNSIGNED: 'signature',
  TSB_SIGNATURE_BAD: 'signature',
  TSB_SIGNATURE_WRONG_KEY: 'signature',
  TSB_SIGNATURE_EXPIRED: 'signature',
  TSB_SIGNATURE_REVOKED: 'signature',
  TSB_SIGNATURE_FUTURE: 'signature',
  TSB_SIGNATURE_WEAK: 'signature',
  TSB_SIGNATURE_ROLLBACK: 'signature',
  TSB_KEY_INVALID: 'signature',
  TSB_CHECKSUM_MISMATCH: 'checksum',
  TSB_SIZE_MISMATCH: 'checksum',
  TSB_XZ_CORRUPT: 'checksum',
  TSB_XZ_UNSUPPORTED: 'checksum',
  TSB_XZ_LIMIT: 'checksum',
  TSB_GZIP_CORRUPT: 'checksum',
  TSB_ZSTD_CORRUPT: 'checksum',
  TSB_ZSTD_UNSUPPORTED: 'checksum',
  TSB_ZSTD_LIMIT: 'checksum',
  TSB_CONTENT_CHANGED: 'checksum',
  TSB_BLOCK_MAP_INVALID: 'checksum',
  TSB_NOT_VERIFIED: 'checksum',
  TSB_IMAGE_INVALID: 'checksum',
  TSB_NETWORK: 'network',
  TSB_HTTP_STATUS: 'network',
  TSB_NETWORK_TIMEOUT: 'network',
  TSB_NO_RANGES: 'network',
  TSB_OFFLINE: 'network',
  TSB_LISTEN: 'network',
  TSB_ACCESS_DENIED: 'network',
  TSB_CREDENTIALS: 'usage',
  TSB_TLS: 'usage',
  TSB_OUTPUT_EXISTS: 'disk',
  TSB_OUTPUT_UNUSABLE: 'disk',
  TSB_NO_SPACE: 'disk',
  TSB_IO: 'disk',
  TSB_LOCKED: 'disk',
  TSB_TOO_SMALL: 'usage',
  TSB_RECIPE_INVALID: 'usage',
  TSB_PARTITION_TABLE: 'guest',
  TSB_PARTITION_NOT_FOUND: 'guest',
  TSB_FILESYSTEM: 'guest',
  TSB_GUEST: 'guest',
  TSB_TOOL_MISSING: 'missingTool',
  TSB_TOOL_FAILED: 'guest',
  TSB_INTERRUPTED: 'interrupted',
} as const satisfies Record<string, ExitClass>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** What an error carries besides its message. */
export interface ErrorOptionsExtra {
  /** The next step the user can take, one sentence. */
  readonly hint?: string | undefined;
  /** The numbers and names in the message, as data for `--json`. Never secrets. */
  readonly details?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly cause?: unknown;
}

/** The one error class of the program: what went wrong and where, with a stable code, an exit status and a hint. */
export class TsbuilderError extends Error {
  override readonly name = 'TsbuilderError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: NonNullable<ErrorOptionsExtra['details']>;

  constructor(code: ErrorCode, message: string, extra: ErrorOptionsExtra = {}) {
    super(message, extra.cause === undefined ? undefined : { cause: extra.cause });
    this.code = code;
    this.hint = extra.hint;
    this.details = extra.details ?? {};
  }

  /** The process exit status of this error's class. */
  get exit(): number {
    return EXIT[ERROR_CODES[this.code]];
  }
}

/** Whether `error` is the abort of a signal: a user's Ctrl-C or a cancelled sibling task, not a fault of its own. */
export function isAbort(error: unknown): boolean {
  return (
    error instanceof Error &&
    (error.name === 'AbortError' || ('code' in error && error.code === 'TSB_INTERRUPTED'))
  );
}

/** The `errno` name (`ENOENT`, `ENOSPC`, ...) of a Node system error, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The text of anything thrown, for use inside another message. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
