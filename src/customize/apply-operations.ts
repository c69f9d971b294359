import { TsbuilderError } from '../errors.js';
import type { Guest } from '../guest/guest.js';
import type { CustomizeContext, FileOperationKind, Operation } from './operation-kind.js';

/** An operation that only changes files. */
export type FileOperation = Operation & { readonly kind: FileOperationKind<unknown> };

/** Whether the operation only changes files. */
export function isFileOperation(operation: Operation): operation is FileOperation {
  return operation.kind.runs === 'offline';
}

/**
 * Does one operation in the guest, without committing.
 *
 * @returns one line that says what was done, without secrets
 * @throws what the operation throws, with its name in front of the message
 */
export async function applyOperation(
  guest: Guest,
  { kind, value }: FileOperation,
  context: CustomizeContext,
): Promise<string> {
  context.signal?.throwIfAborted();
  const said = await named(kind.name, async () => kind.apply(guest, value, context));
  return typeof said === 'string' ? said : kind.describe(value);
}

/** Runs `work`; an error of it says that it was the operation `name` that failed. */
export async function named<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw inOperation(name, error);
  }
}

/** The error `error` with the name of the operation that failed in front of its message. */
export function inOperation(name: string, error: unknown): unknown {
  if (!(error instanceof TsbuilderError) || error.code === 'TSB_INTERRUPTED') return error;
  const { code, message, hint, details } = error;
  const text = message.startsWith(`--${name}`) ? message : `--${name}: ${message}`;
  return new TsbuilderError(code, text, { hint, details: { ...details, operation: name }, cause: error });
}
