import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT, TsbuilderError, messageOf } from '../../errors.js';
import { INDEX_FILE, KEY_FILE, listIndexes } from '../../index-repo/publish-folder.js';
import { findStrays, removeStrays } from '../../index-repo/publish-strays.js';
import type { TemplateEntry } from '../../index-repo/template-entry.js';
import type { Progress } from '../../progress.js';
import { type IndexVerdict, findRepositoryEntries, validateIndex } from '../validate-index.js';
import { checkBuild } from './build-template.js';
import { reporting, verifyTemplate } from './verify-template.js';

/** What is to be looked at. */
export interface VerifyRequest {
  readonly dir: string;
  /** Files with the public keys that must have signed. Default: those of the repository. */
  readonly keys?: readonly string[] | undefined;
  /** How many jobs build each template; without it none is built. */
  readonly buildJobs?: number | undefined;
  /** Whether to remove strays. */
  readonly prune: boolean;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** What is wrong with a repository, and the exit status of its kind. */
export interface RepositoryFault extends Pick<TsbuilderError, 'code' | 'message' | 'exit'> {
  readonly name?: string | undefined;
}

/** What was found in a repository: of `index.asc`, and all that is wrong. */
export interface RepositoryVerdict extends IndexVerdict {
  readonly faults: readonly RepositoryFault[];
  /** Files that tsbuilder has written and nothing names any more, but for former revisions. */
  readonly strays: readonly string[];
  readonly pruned: boolean;
}

/**
 * Verifies a repository: its indexes, and what is said of every template in them. Strays are no faults.
 *
 * @throws TSB_NOT_FOUND when it is none, TSB_KEY_INVALID
 */
export async function verifyRepository(request: VerifyRequest): Promise<RepositoryVerdict> {
  const { dir, signal } = request;
  const names = await indexesOf(dir);
  const keys = request.keys ?? [join(dir, KEY_FILE)];
  const faults: RepositoryFault[] = [];
  const verdicts: IndexVerdict[] = [];
  const entries = new Map<string, TemplateEntry>();
  for (const name of names) {
    const path = join(dir, name);
    const verdict = await validateIndex(path, { keys, signal });
    verdicts.push(verdict);
    faults.push(...faultsOf(name, verdict));
    for (const entry of await findRepositoryEntries(path, signal)) entries.set(identityOf(entry), entry);
  }
  for (const entry of entries.values()) await verifyEntry(entry, faults, request);
  const strays = await findStrays(dir);
  // What an index that nobody has signed does not name may be needed all the same.
  const pruned = request.prune && verdicts.every(({ verified }) => verified);
  if (pruned) await removeStrays(dir, { warn: (message) => request.progress.warn(message), signal });
  else if (request.prune && strays.length > 0)
    request.progress.warn(
      `${dir}: nothing was removed, because a key of the repository has not signed its index`,
    );
  const [main] = verdicts;
  if (!main) throw notFound(dir, `it has no ${INDEX_FILE}`);
  return { ...main, faults, strays, pruned };
}

/** `index.asc` first, then those of other keys. */
async function indexesOf(dir: string): Promise<string[]> {
  const present = await readdir(dir).catch((error: unknown) => {
    throw notFound(dir, messageOf(error));
  });
  if (!present.includes(INDEX_FILE)) throw notFound(dir, `it has no ${INDEX_FILE}`);
  return (await listIndexes(dir)).sort((a, b) => Number(b === INDEX_FILE) - Number(a === INDEX_FILE));
}

function notFound(dir: string, why: string): TsbuilderError {
  return new TsbuilderError('TSB_NOT_FOUND', `${dir}: no repository: ${why}`, {
    hint: `Make one: tsbuilder repo init ${dir}`,
  });
}

/** An entry that two indexes have alike is looked at once. */
function identityOf({ name, arch, revision, url, sha512, size }: TemplateEntry): string {
  return JSON.stringify([name, arch, revision, url, sha512, size]);
}

function faultsOf(index: string, { problems }: IndexVerdict): RepositoryFault[] {
  return problems
    .filter(({ severity }) => severity === 'error')
    .map(({ code, line, message }) => ({
      code,
      message: `${index === INDEX_FILE ? '' : `${index}, `}line ${line}: ${message}`,
      exit: EXIT.signature,
    }));
}

async function verifyEntry(
  entry: TemplateEntry,
  faults: RepositoryFault[],
  { buildJobs, progress, signal }: VerifyRequest,
): Promise<void> {
  const { name } = entry;
  const before = faults.length;
  // A file that is missing is a fault of the repository, not of the question.
  const report = ({ code, message, exit }: TsbuilderError): void => {
    if (faults.some((known, at) => at >= before && known.message === message)) return;
    faults.push({ name, code, message, exit: exit === EXIT.notFound ? EXIT.checksum : exit });
  };
  {
    using _ = progress.step(`Verifying ${name}`);
    await verifyTemplate(entry, report, signal);
  }
  // What is known to be damaged would only be damaged again.
  if (buildJobs === undefined || faults.length > before) return;
  await reporting(report, () => checkBuild(entry, { jobs: buildJobs, progress, signal }));
}
