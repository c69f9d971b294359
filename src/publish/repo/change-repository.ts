import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuilderError } from '../../errors.js';
import { type Publisher, changeRepository } from '../../index-repo/publish-change.js';
import { type IndexSection, sectionsOf } from '../../index-repo/publish-entry.js';
import { readPresentIndex, readRepositoryKeys } from '../../index-repo/publish-folder.js';
import { listTemplateFiles } from '../../index-repo/publish-strays.js';

/** A template of a repository. */
export interface TemplateChoice {
  readonly name: string;
  readonly arch?: string | undefined;
  readonly revision?: number | undefined;
}

/** What was removed. */
export interface RemoveResult {
  readonly name: string;
  readonly arch: string;
  readonly revision: number;
  /** False when only the files of a former revision were there to remove. */
  readonly wasListed: boolean;
}

/** Signs the index again, by all keys of the repository. @returns how many templates it lists */
export async function signAgain(publisher: Publisher, signal?: AbortSignal): Promise<number> {
  return changeRepository(
    publisher,
    (sections) => Promise.resolve({ change: { sections }, result: sections.length }),
    signal,
  );
}

/**
 * Takes a template out of the index; its files go with the next change, for clients that hold the index before. Or removes the files of a
 * former revision.
 *
 * @throws TSB_NOT_FOUND, TSB_USAGE when several architectures have the name
 */
export async function removeTemplate(
  publisher: Publisher,
  choice: TemplateChoice,
  signal?: AbortSignal,
): Promise<RemoveResult> {
  return changeRepository(
    publisher,
    async (sections) => {
      const section = chooseSection(sections, choice, publisher.dir);
      const { name, arch = '' } = section;
      const revision = choice.revision ?? section.revision;
      const wasListed = revision === section.revision;
      if (!wasListed) await removeFormer(publisher.dir, { stem: `${name}-${arch}`, revision });
      const rest = wasListed ? sections.filter((one) => one !== section) : sections;
      const spare = publisher.keep > 0 ? [`${name}-${arch}`] : [];
      return { change: { sections: rest, spare }, result: { name, arch, revision, wasListed } };
    },
    signal,
  );
}

function chooseSection(sections: readonly IndexSection[], choice: TemplateChoice, dir: string): IndexSection {
  const found = sectionsOf(sections, choice);
  if (found[0] && found.length === 1) return found[0];
  const list = (found.length > 1 ? found : sections)
    .map(({ name, arch }) => `${name} (${arch ?? '?'})`)
    .join(', ');
  if (found.length > 1) {
    throw new TsbuilderError('TSB_USAGE', `${choice.name}: is there for several architectures: ${list}`, {
      hint: 'Say which one with --arch.',
    });
  }
  throw new TsbuilderError(
    'TSB_NOT_FOUND',
    `${dir}: no template ${choice.name}${choice.arch === undefined ? '' : ` for ${choice.arch}`}`,
    {
      hint: list === '' ? 'The repository has no templates.' : `There is ${list}.`,
    },
  );
}

async function removeFormer(
  dir: string,
  { stem, revision }: { stem: string; revision: number },
): Promise<void> {
  const files = (await listTemplateFiles(dir)).filter(
    (one) => one.stem === stem && one.revision === revision,
  );
  if (files.length === 0)
    throw new TsbuilderError('TSB_NOT_FOUND', `${dir}: there is no revision ${revision} of ${stem}`);
  for (const { file } of files) await rm(join(dir, file), { force: true });
}

/** What a repository has. */
export interface RepositoryList {
  readonly dir: string;
  /** Of its keys, upper-case hex; the last signs index.asc. */
  readonly keys: readonly string[];
  readonly signedBy: string | undefined;
  /** When the signature stops to hold, or has; undefined where it holds for as long as the key does. */
  readonly expiresAt: Date | undefined;
  readonly templates: readonly {
    readonly name: string;
    readonly arch: string | undefined;
    readonly revision: number;
    readonly file: string | undefined;
    /** Former revisions whose files are still there. */
    readonly former: readonly number[];
  }[];
}

/** The templates of a repository, from its verified index. @throws TSB_SIGNATURE_*, TSB_NOT_FOUND when it is none */
export async function listRepository(dir: string): Promise<RepositoryList> {
  const keys = await readRepositoryKeys(dir);
  const { sections, signedBy, expiresAt } = await readPresentIndex(dir, keys);
  if (signedBy === undefined) {
    throw new TsbuilderError('TSB_NOT_FOUND', `${dir}: no repository: it has no index.asc`, {
      hint: `Make one: tsbuilder repo init ${dir}`,
    });
  }
  const files = await listTemplateFiles(dir);
  return {
    dir,
    keys: keys.map((key) => key.getFingerprint().toUpperCase()),
    signedBy,
    expiresAt,
    templates: sections.map(({ name, arch, revision, file }) => {
      const former = files.filter((one) => one.stem === `${name}-${arch ?? ''}` && one.revision < revision);
      return { name, arch, revision, file, former: [...new Set(former.map((one) => one.revision))] };
    }),
  };
}
