import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { MadeSecret } from '../build/customize-work.js';
import { TsbuilderError, messageOf } from '../errors.js';
import { type OutputFile, openOutputFile } from '../io/output-file.js';
import type { Progress } from '../progress.js';

/** Where passwords that were made go. Disposing it without `keep` leaves no file. */
export interface SecretSink extends AsyncDisposable {
  /** Keeps the secrets, and returns those that still have to be shown: all, where no file was asked for or it failed. */
  keep(secrets: readonly MadeSecret[]): Promise<readonly MadeSecret[]>;
}

/**
 * Makes ready to write secrets to the new file `path`, for its owner only; undefined: they are shown. Where there are none, no file is made. An
 * existing file is never replaced: others may be able to read it.
 *
 * @param disk the name that the disk will have
 * @throws TSB_USAGE when that is `path` too, and as `openOutputFile`, before any work
 */
export async function openSecretSink(
  path: string | undefined,
  { disk, progress }: { readonly disk: string; readonly progress: Progress },
): Promise<SecretSink> {
  if (path === undefined) {
    return { keep: (secrets) => Promise.resolve(secrets), [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  if (resolve(path) === resolve(disk))
    throw new TsbuilderError('TSB_USAGE', `${path}: is the disk, and cannot be the file of passwords too`);
  const file = await openNewFile(path);
  return {
    async keep(secrets) {
      if (secrets.length === 0) return [];
      try {
        await writeSecrets(file, secrets);
        return [];
      } catch (error) {
        progress.warn(`the passwords could not be written: ${messageOf(error)}`);
        return secrets;
      }
    },
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}

async function openNewFile(path: string): Promise<OutputFile> {
  try {
    return await openOutputFile(path);
  } catch (error) {
    if (!(error instanceof TsbuilderError) || error.code !== 'TSB_OUTPUT_EXISTS') throw error;
    throw new TsbuilderError(error.code, error.message, {
      hint: 'Choose another name: passwords are written to a new file only, not even --force replaces one.',
      details: error.details,
      cause: error,
    });
  }
}

async function writeSecrets(file: OutputFile, secrets: readonly MadeSecret[]): Promise<void> {
  await using handle = await open(file.tempPath, 'r+');
  await handle.chmod(0o600);
  await handle.writeFile(formatSecrets(secrets));
  await handle.close();
  await file.commit();
}

/** The secrets, one line each. */
export function formatSecrets(secrets: readonly MadeSecret[]): string {
  return secrets.map(({ label, value }) => `${label}: ${value}\n`).join('');
}
