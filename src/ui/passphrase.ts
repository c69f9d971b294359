import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { TsbuilderError, messageOf } from '../errors.js';

/**
 * How passphrases of key files are come by: the first line of `file`, else `$TSBUILDER_PASSPHRASE`, else a question on the terminal
 * without echo. There is no question where nobody can answer.
 *
 * @returns a function of the key's path. It throws TSB_KEY_INVALID when there is no passphrase
 */
export function passphraseFrom(
  file: string | undefined,
  signal?: AbortSignal,
): (path: string) => Promise<string> {
  return async (path) => {
    if (file !== undefined) return firstLine(file);
    const given = process.env['TSBUILDER_PASSPHRASE'];
    if (given !== undefined) return given;
    if (process.stdin.isTTY && process.stderr.isTTY) return ask(`Passphrase of ${path}: `, signal);
    throw new TsbuilderError(
      'TSB_KEY_INVALID',
      `${path}: the key has a passphrase, and there is no terminal to ask for it`,
      {
        hint: 'Give it with --passphrase-file FILE or in TSBUILDER_PASSPHRASE.',
      },
    );
  };
}

async function firstLine(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).split(/\r?\n/, 1)[0] ?? '';
  } catch (error) {
    throw new TsbuilderError('TSB_KEY_INVALID', `${file}: no passphrase can be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function ask(question: string, signal: AbortSignal | undefined): Promise<string> {
  // What the line editor would show goes nowhere.
  const output = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output, terminal: true });
  // A raw terminal sends no signals: Ctrl-C is made one, so that it ends the program as at any other moment.
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  const ended = once(lines, 'close').then(() => Promise.reject(new Error('the input has ended')));
  process.stderr.write(question);
  try {
    return await Promise.race([lines.question('', signal ? { signal } : {}), ended]);
  } catch (cause) {
    signal?.throwIfAborted();
    throw new TsbuilderError('TSB_KEY_INVALID', 'no passphrase was given', { cause });
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}
