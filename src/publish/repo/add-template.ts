import { constants, copyFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuilderError } from '../../errors.js';
import { normaliseArchitecture } from '../../index-repo/architecture.js';
import { changesUnasked, withFormerWords } from '../../index-repo/former-fields.js';
import { nameCautions } from '../../index-repo/name-cautions.js';
import type { Publisher } from '../../index-repo/publish-change.js';
import type { TemplateFields } from '../../index-repo/publish-entry.js';
import { readPresentIndex } from '../../index-repo/publish-folder.js';
import { publicKeysOf } from '../../index-repo/publish-signer.js';
import {
  type PublishResult,
  assertPublishable,
  previousOf,
  publishTemplate,
} from '../../index-repo/publish-template.js';
import type { TemplateEntry } from '../../index-repo/template-entry.js';
import { writeError } from '../../io/free-space.js';
import { tempName } from '../../io/temp-name.js';
import type { Progress } from '../../progress.js';
import { assertPacking } from '../../xz/encode-options.js';
import { packingName } from '../../xz/packing-name.js';
import { type PackRequest, type PackResult, runPack } from '../run-pack.js';
import { type DiskFacts, inspectTemplate } from './inspect-template.js';
import { openPresentRevision, readSection } from './present-revision.js';
import { assertWholeXz } from './template-content.js';

/** What is said about a template; what is left out is found out from the disk, or is as in the present revision. */
type GivenFields = Omit<TemplateFields, 'arch' | 'size' | 'format' | 'packing'> & {
  readonly arch?: string | undefined;
};

/** A disk to publish. */
export interface AddRequest extends Pick<
  PackRequest,
  'blockSize' | 'preset' | 'check' | 'jobs' | 'sparsify'
> {
  readonly publisher: Publisher;
  /** Path of the disk, or of one that is packed already; it is only read. */
  readonly disk: string;
  readonly fields: GivenFields;
  /** Take blocks over from the present revision where their content is the same. What is published does not depend on it. */
  readonly reuse: boolean;
  /** Stop when it is known what would be published. */
  readonly dryRun: boolean;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** What is, or would be, published. */
export interface AddResult {
  readonly entry: TemplateFields;
  /** Undefined for a dry run. */
  readonly published?: PublishResult | undefined;
  /** Undefined for a dry run, and for a disk that was packed already. */
  readonly packed?: PackResult | undefined;
}

/**
 * Publishes a disk: inspects it, packs it inside the repository's folder, and adds it to the signed index.
 *
 * @throws TSB_GUEST when the architecture cannot be told, TSB_INDEX_INVALID, TSB_SIGNATURE_*, before any work; and the codes of `runPack`
 *   and `publishTemplate`
 */
export async function addDisk(request: AddRequest): Promise<AddResult> {
  const { publisher, disk, fields, signal } = request;
  const { dir, signers } = publisher;
  const { sections } = await readPresentIndex(dir, await publicKeysOf(signers));
  assertPacking(request);
  const facts = await inspectTemplate(disk, { ...request, given: fields, scratchFor: join(dir, 'disk') });
  const found = toFields(disk, fields, facts);
  const section = previousOf(found, sections);
  const present = section && readSection(dir, section);
  const entry = withFormerWords(found, present);
  assertPublishable(entry, sections);
  const cautions = [...nameCautions(entry, sections), ...changesUnasked(entry, present, fields)];
  for (const caution of cautions) request.progress.warn(caution);
  if (request.dryRun) return { entry };
  // That GnuPG cannot ask for a passphrase or a card is better known before the work than after it.
  for (const signer of signers) await signer.sign('', { expiresMs: undefined, signal });
  const xzPath = join(dir, tempName(`${entry.name}.xz`));
  try {
    const packing = facts.packed ? undefined : await packingName(request);
    const packed = packing === undefined ? undefined : await pack(xzPath, request, { packing, present });
    if (!packed) await takePacked(xzPath, request);
    using _ = request.progress.step(`Publishing ${entry.name} in ${dir}`);
    const template = { ...entry, packing, xzPath, sha512: packed?.sha512 };
    return { entry, packed, published: await publishTemplate(publisher, template, signal) };
  } finally {
    await rm(xzPath, { force: true });
  }
}

function toFields(disk: string, fields: GivenFields, facts: DiskFacts): TemplateFields {
  const arch = fields.arch === undefined ? facts.arch : normaliseArchitecture(fields.arch);
  if (arch === undefined) {
    throw new TsbuilderError('TSB_GUEST', `${disk}: no system on it tells its architecture`, {
      hint: 'Say it with --arch.',
    });
  }
  const { size, format } = facts;
  return {
    ...fields,
    arch,
    size,
    format,
    fullName: fields.fullName ?? facts.fullName,
    osinfo: fields.osinfo ?? facts.osinfo,
    expand: facts.expand,
    lvexpand: facts.lvexpand,
  };
}

async function pack(
  output: string,
  request: AddRequest,
  { packing, present }: { packing: string; present: TemplateEntry | undefined },
): Promise<PackResult> {
  const from = request.reuse ? present : undefined;
  await using before = await openPresentRevision(from, { ...request, packing });
  return await runPack({ ...request, input: request.disk, output, before, verify: true, force: false });
}

/** A file that is packed already is copied, so that the original stays, and decoded once. */
async function takePacked(path: string, { disk, jobs, progress, signal }: AddRequest): Promise<void> {
  await copyFile(disk, path, constants.COPYFILE_FICLONE).catch((error: unknown) => {
    throw writeError(path, error);
  });
  signal.throwIfAborted();
  using step = progress.step('Verifying');
  await assertWholeXz({ path, name: disk }, { jobs, signal, onProgress: (bytes) => step.advance(bytes) });
}
