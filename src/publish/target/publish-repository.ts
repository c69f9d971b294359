import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { TsbuilderError, messageOf } from '../../errors.js';
import { splitIndex } from '../../index-repo/publish-entry.js';
import { INDEX_FILE } from '../../index-repo/publish-folder.js';
import { asWriter } from '../../index-repo/publish-lock.js';
import type { Progress } from '../../progress.js';
import { type CatalogueRequest, PAGE_FILE, writeCatalogue } from '../catalogue/write-catalogue.js';
import { assertReplaceable } from './assert-replaceable.js';
import type { FormerIndex } from './former-index.js';
import type { PublishTarget, PublishedFile, TargetOptions } from './publish-target.js';
import { type VerifiedRepository, smallFile, verifyForPublishing } from './published-files.js';

/** A repository to put somewhere. */
export interface PublishRequest {
  readonly dir: string;
  readonly target: PublishTarget;
  /** URL of the folder where users will find it: for the page. */
  readonly url?: string | undefined;
  /** Whether to write the catalogue page. */
  readonly page: boolean;
  /** Whether to take away templates of the target that nobody needs any more. */
  readonly remove: boolean;
  readonly dryRun: boolean;
  /** Whether to replace an index that another key has signed, or that is newer. */
  readonly force: boolean;
  readonly openDisk: CatalogueRequest['openDisk'];
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** What was, or would be, done. */
export interface PublishSummary {
  readonly target: string;
  readonly fingerprint: string;
  readonly templates: number;
  /** In the order in which they were sent. */
  readonly sent: readonly string[];
  readonly sentBytes: number;
  /** How many of them were there already, of a publisher that was interrupted. */
  readonly resumedBytes: number;
  readonly unchanged: number;
  readonly removed: readonly string[];
  readonly dryRun: boolean;
}

/**
 * Puts a repository into a target: verifies all of it first, sends only what is missing or different, templates and block maps before the
 * indexes, `index.asc` last. Until then the index that is there holds, and nothing that it names is replaced or taken away: not by this
 * run either, so that clients that hold it can finish. Writers of the repository wait meanwhile.
 *
 * @throws the codes of `verifyForPublishing` and `assertReplaceable`, before anything is sent, and of the target
 */
export async function publishRepository(request: PublishRequest): Promise<PublishSummary> {
  const { target, dryRun, progress, signal } = request;
  const turn = { warn: (message: string): void => progress.warn(message), signal };
  const dir = resolve(request.dir);
  await assertFolder(dir);
  return asWriter(dir, turn, async () => {
    const repository = await verify({ ...request, dir });
    const files = await orderOf(dir, repository, request);
    const run = (): Promise<PublishSummary> => transfer({ ...request, dir }, repository, files);
    return dryRun ? run() : target.exclusively(run, turn);
  });
}

/** A folder that is not there is told as such, not as a lock that cannot be made. */
async function assertFolder(dir: string): Promise<void> {
  await readdir(dir).catch((error: unknown) => {
    throw new TsbuilderError('TSB_NOT_FOUND', `${dir}: cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  });
}

async function verify({ dir, progress, signal }: PublishRequest): Promise<VerifiedRepository> {
  using step = progress.step('Verifying the repository');
  return await verifyForPublishing(dir, { signal, onProgress: (bytes) => step.advance(bytes) });
}

async function orderOf(
  dir: string,
  repository: VerifiedRepository,
  request: PublishRequest,
): Promise<PublishedFile[]> {
  const { page, dryRun, signal } = request;
  const written = page && !dryRun && (await writeCatalogue({ ...request, ...repository, dir }));
  const pages = written ? [await smallFile(dir, PAGE_FILE, { signal })] : [];
  return [...repository.content, ...pages, repository.key, ...repository.indexes];
}

async function transfer(
  request: PublishRequest,
  repository: VerifiedRepository,
  files: readonly PublishedFile[],
): Promise<PublishSummary> {
  const { dir, target, remove, dryRun, force, signal } = request;
  const { entries, fingerprint } = repository;
  const former = await target.readText(INDEX_FILE, { signal });
  if (former !== undefined && !force) await assertReplaceable(former, { ...repository, dir, target, signal });
  const missing = new Set((await target.missing(files, { signal })).map(({ name }) => name));
  const sending = files.filter(({ name }) => missing.has(name));
  const sentBytes = sending.reduce((sum, { size }) => sum + size, 0);
  const kept = new Set([...namedBy(former), ...files.map(({ name }) => name), ...(await readdir(dir))]);
  const removed = remove
    ? (await target.list({ signal })).filter((name) => TEMPLATE_FILE.test(name) && !kept.has(name))
    : [];
  let resumedBytes = 0;
  if (!dryRun) {
    await target.sweep(sending, { signal });
    const onResumed = (bytes: number): void => void (resumedBytes += bytes);
    await sendInStages(sending, { ...request, former, onResumed });
    await target.remove(removed, { signal });
    await assertArrived(target, files, signal);
  }
  const sent = sending.map(({ name }) => name);
  const unchanged = files.length - sent.length;
  return {
    ...{ target: target.name, fingerprint, templates: entries.length },
    ...{ sent, sentBytes, resumedBytes, unchanged, removed, dryRun },
  };
}

/** Templates and block maps; then the page, keys and other indexes; then the index, when all it names is there. */
async function sendInStages(
  files: readonly PublishedFile[],
  request: PublishRequest & FormerIndex & Pick<TargetOptions, 'onResumed'>,
): Promise<void> {
  const { target, former, onResumed, progress, signal } = request;
  const total = files.reduce((sum, { size }) => sum + size, 0);
  using step = progress.step(`Sending to ${target.name}`, total);
  const options = {
    ...{ signal, onResumed, warn: (message: string): void => progress.warn(message) },
    onProgress: (bytes: number): void => step.advance(bytes),
  };
  const stageOf = ({ name }: PublishedFile): number =>
    name === INDEX_FILE ? 2 : /^(?:index-[0-9a-f]{16}\.asc|key\.asc|index\.html)$/.test(name) ? 1 : 0;
  for (const stage of [0, 1]) {
    const sending = files.filter((file) => stageOf(file) === stage);
    if (sending.length > 0) await target.send(sending, options);
  }
  for (const index of files.filter((file) => stageOf(file) === 2))
    await target.replace(index, { ...options, former });
}

/** Reads the index back: what users get is what was verified. @throws TSB_CONTENT_CHANGED */
async function assertArrived(
  target: PublishTarget,
  files: readonly PublishedFile[],
  signal: AbortSignal,
): Promise<void> {
  const found = await target.readText(INDEX_FILE, { signal });
  const sent = files.find(({ name }) => name === INDEX_FILE);
  if (found !== undefined && createHash('sha512').update(found).digest('hex') === sent?.sha512) return;
  throw new TsbuilderError(
    'TSB_CONTENT_CHANGED',
    `${target.name}: ${INDEX_FILE} ${found === undefined ? 'is not there' : 'is another one'} after it was sent`,
    { hint: 'Something else writes there. See what it is, then run the command again.' },
  );
}

/** Names that `repo add` gives; others belong to somebody else. */
const TEMPLATE_FILE = /^[A-Za-z0-9_][A-Za-z0-9._-]*\.r\d+\.xz(?:\.blocks)?$/;

/** What an index names, whoever has signed it: nothing of it is trusted, it is only kept. */
function namedBy(index: string | undefined): string[] {
  const sections = index === undefined ? [] : splitIndex(index);
  return sections.flatMap(({ file, blocks }) => [file, blocks]).filter((name) => name !== undefined);
}
