import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseIdentity, processState } from '../io/process-identity.js';
import { type IndexSection, splitIndex } from './publish-entry.js';
import { listIndexes, readIfPresent } from './publish-folder.js';
import { type WriterTurn, asWriter } from './publish-lock.js';
import { writeDurably } from './publish-file.js';

/** Names of files that a writer is putting in place before an index names them. */
const JOURNAL = '.publishing';
const TEMPLATE_FILE = /^([^.].*)\.r(\d+)\.xz(?:\.blocks)?$/;

/** A file of a template in a repository. */
export interface TemplateFile {
  readonly file: string;
  /** NAME-ARCH of the template that it belongs to. */
  readonly stem: string;
  readonly revision: number;
}

/** The files of templates in `dir`, of whatever revision. */
export async function listTemplateFiles(dir: string): Promise<TemplateFile[]> {
  const names = await readdir(dir);
  return names.flatMap((file) => {
    const match = TEMPLATE_FILE.exec(file);
    return match ? [{ file, stem: match[1] ?? '', revision: Number(match[2]) }] : [];
  });
}

/** Notes down, durably, files that are about to appear, so that the next writer takes them away if no index ever names them. */
export async function beginJournal(dir: string, files: readonly string[]): Promise<void> {
  await writeDurably(join(dir, JOURNAL), files.map((file) => `${file}\n`).join(''), 0o600);
}

/** Takes away what a writer that did not finish has left: files in its journal that no index names, and temporary files. */
export async function endJournal(dir: string): Promise<void> {
  const journal = await readIfPresent(join(dir, JOURNAL));
  if (journal !== undefined) {
    const named = await namedFiles(dir);
    for (const file of journal.split('\n').filter((name) => TEMPLATE_FILE.test(name) && !name.includes('/')))
      if (!named.has(file)) await rm(join(dir, file), { force: true });
    await rm(join(dir, JOURNAL), { force: true });
  }
  await sweepTemporary(dir);
}

/** The files that any index in `dir` names, verified or not: what may be in use by somebody is not taken away. */
async function namedFiles(dir: string): Promise<Set<string>> {
  const texts = await Promise.all((await listIndexes(dir)).map((name) => readFile(join(dir, name), 'utf8')));
  return new Set(texts.flatMap((text) => filesOf(splitIndex(text))));
}

/** The files that `sections` name. */
function filesOf(sections: readonly IndexSection[]): string[] {
  return sections.flatMap(({ file, blocks }) => [file, blocks]).filter((name) => name !== undefined);
}

/**
 * Takes away template files that no index names, but for the `keep` revisions in front of the present one of each template.
 *
 * @param options.spares whether the files of a template, NAME-ARCH, stay that no index names at all: one that is being removed, for
 *   clients that still hold the index before
 */
export async function sweepRevisions(
  dir: string,
  options: { readonly keep: number; readonly spares: (stem: string) => boolean },
): Promise<void> {
  const { keep, spares } = options;
  const named = await namedFiles(dir);
  const files = await listTemplateFiles(dir);
  const present = new Map(files.filter(({ file }) => named.has(file)).map((one) => [one.stem, one.revision]));
  for (const { file, stem, revision } of files) {
    const newest = present.get(stem);
    const former = files
      .filter((one) => one.stem === stem && one.file.endsWith('.xz') && one.revision < (newest ?? 0))
      .map((one) => one.revision)
      .sort((a, b) => b - a);
    const isKept = newest === undefined ? spares(stem) : former.slice(0, keep).includes(revision);
    if (!named.has(file) && !isKept) await rm(join(dir, file), { force: true });
  }
}

/**
 * Files that writers have left in `dir` and nobody needs: templates and block maps that no index names and that are no former revision of
 * one that is named, and what writers that have died were working on.
 */
export async function findStrays(dir: string): Promise<string[]> {
  const named = await namedFiles(dir);
  const files = await listTemplateFiles(dir);
  const present = new Map(files.filter(({ file }) => named.has(file)).map((one) => [one.stem, one.revision]));
  const names = new Set(files.map(({ file }) => file));
  const isFormer = ({ file, stem, revision }: TemplateFile): boolean =>
    revision < (present.get(stem) ?? 0) && names.has(file.replace(/\.blocks$/, ''));
  const unnamed = files.filter((one) => !named.has(one.file) && !isFormer(one)).map(({ file }) => file);
  return [...unnamed, ...(await abandoned(dir))].sort();
}

/** Removes what `findStrays` finds while no writer is at work. */
export async function removeStrays(dir: string, turn: WriterTurn): Promise<void> {
  await asWriter(dir, turn, async () => {
    for (const name of await findStrays(dir)) await rm(join(dir, name), { force: true });
    await rm(join(dir, JOURNAL), { force: true });
  });
}

async function abandoned(dir: string): Promise<string[]> {
  return (await readdir(dir)).filter((name) => {
    const owner = parseIdentity(/^\..*\.(\d+-\d+-[0-9a-f]{16})\.\d+\.tsb$/.exec(name)?.[1] ?? '');
    return owner !== undefined && processState(owner) === 'dead';
  });
}

/** Removes temporary files of writers that have died. */
export async function sweepTemporary(dir: string): Promise<void> {
  for (const name of await abandoned(dir)) await rm(join(dir, name), { force: true });
}
