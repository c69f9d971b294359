import { stripVTControlCharacters } from 'node:util';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { printableLines } from '../io/printable.js';
import { withoutTempNames } from '../io/temp-name.js';

/**
 * `thrown` as ours: an abort, whatever it broke on its way, is the interruption that caused it; what oclif's parser says
 * is a usage error; anything unknown is an internal one. Where cleaning up failed too, what broke first counts. Undefined for oclif's own wish
 * to exit, which is no failure.
 */
export function toFailure(
  thrown: Error,
  context: { readonly help: string; readonly signal: AbortSignal },
): TsbuilderError | undefined {
  const error = withoutCleanup(thrown);
  const reason: unknown = context.signal.reason;
  if (reason instanceof TsbuilderError) {
    return new TsbuilderError(reason.code, reason.message, { hint: reason.hint, cause: error });
  }
  if (error instanceof TsbuilderError) return withCleanMessage(error);
  if (!('oclif' in error)) return internal(error);
  if ('code' in error && error.code === 'EEXIT') return undefined;
  return new TsbuilderError('TSB_USAGE', usageMessage(cleanMessage(error.message)), {
    hint: `Run \`${context.help}\` for what can be given.`,
    cause: error,
  });
}

/** What broke first, of what `using` has put together where disposing failed too. */
function withoutCleanup(error: Error): Error {
  if (error.name !== 'SuppressedError' || !('suppressed' in error)) return error;
  return error.suppressed instanceof Error ? withoutCleanup(error.suppressed) : error;
}

/** What oclif's parser says, in one line; of arguments that are missing only the names and what they are. */
function usageMessage(message: string): string {
  const [first = '', ...lines] = message.split('\n').map((line) => line.trim());
  if (!/^Missing \d+ required args?/.test(first)) return message.replace(/\s*\n\s*/g, ' ');
  const end = lines.findIndex((line) => line === '' || line.startsWith('Note:'));
  const missing = lines.slice(0, end < 0 ? lines.length : end);
  const words = missing.map((line) => {
    const [name = '', ...text] = line.split(/\s+/);
    return name.toUpperCase() + (text.length > 0 ? ` (${text.join(' ')})` : '');
  });
  return `${words.join(' and ')} ${words.length === 1 ? 'is' : 'are'} missing`;
}

function internal(error: Error): TsbuilderError {
  if (['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '')) {
    return new TsbuilderError('TSB_NO_SPACE', `there is no space left on this machine: ${messageOf(error)}`, {
      hint: 'Make room where the output is, and in the folder for temporary files (TMPDIR).',
      cause: error,
    });
  }
  return new TsbuilderError('TSB_INTERNAL', `internal error: ${messageOf(error)}`, {
    hint: 'This is a fault of tsbuilder; run again with DEBUG=1 for a stack trace and report it.',
    cause: error,
  });
}

function withCleanMessage(error: TsbuilderError): TsbuilderError {
  const message = cleanMessage(error.message);
  if (message === error.message) return error;
  const { code, hint, details } = error;
  return new TsbuilderError(code, message, { hint, details, cause: error });
}

/**
 * Takes away what oclif writes around a message (colours, the pointer to help, `Parsing --size` on a line of its own), and the
 * temporary names of outputs.
 */
function cleanMessage(message: string): string {
  return withoutTempNames(stripVTControlCharacters(message))
    .replace(/^Parsing (--[\w-]+) \n\t/, '$1: ')
    .replace(/(?:\nSee more help with --help)+$/, '');
}

/** The lines for standard error: message, code and hint; with `debug` the stacks of the error and its causes. */
export function formatFailure(failure: TsbuilderError, options: { readonly debug: boolean }): string {
  const lines = [`tsbuilder: ${failure.message} [${failure.code}]`];
  if (failure.hint !== undefined) lines.push(`  ${failure.hint}`);
  for (let error: unknown = failure; options.debug && error instanceof Error; error = error.cause) {
    lines.push(error.stack ?? '');
  }
  return `${printableLines(lines.join('\n')).join('\n')}\n`;
}

/** The object that `--json` prints for a failure. */
export function failureObject(failure: TsbuilderError): object {
  const { code, message, hint, details, exit } = failure;
  return { error: { code, message, hint, details, exit } };
}
