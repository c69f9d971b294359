import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type PublishResult,
  type Repository,
  addTemplate,
  ensureRepository,
} from '../../index-repo/publish.js';
import { withLock } from '../../io/lock-file.js';
import { sweepTempFiles, tempName } from '../../io/temp-name.js';
import type { Progress } from '../../progress.js';
import { compressDisk } from './compress.js';
import type { Mirrors, TemplateContext } from './context.js';
import { templateEpoch, templateIdentity } from './identity.js';
import { layoutNamed } from './layout.js';
import type { LoadedRecipe } from './recipe.js';
import { makeTree } from './tree.js';
import { openWorkFolder } from './work-folder.js';

/** What to make and where to publish it. */
export interface TemplateBuildOptions {
  readonly recipe: LoadedRecipe;
  /** The folder that has the local repository and its key: see `localRepositoryPlace`. */
  readonly dataDir: string;
  readonly mirrors?: Mirrors | undefined;
  readonly jobs: number;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** A template that was made and published. */
export interface TemplateBuildResult extends PublishResult {
  readonly repository: Repository;
}

/** Where the local repository and its secret key are inside the program's data folder. */
export function localRepositoryPlace(dataDir: string): { dir: string; secretKeyPath: string } {
  return { dir: join(dataDir, 'repository'), secretKeyPath: join(dataDir, 'keys', 'repository.asc') };
}

/**
 * Makes the template of a recipe (packages, disk, compressed file) and adds it to the local repository. Two calls for
 * one template do it one after the other. Works in $TMPDIR, else /var/tmp, and leaves nothing there.
 *
 * @throws TSB_TOOL_MISSING, TSB_TOOL_FAILED, TSB_FILESYSTEM, TSB_RECIPE_INVALID, and the codes of `archiveKeyOptions` and `addTemplate`
 */
export async function runTemplateBuild(options: TemplateBuildOptions): Promise<TemplateBuildResult> {
  const { recipe, signal, progress } = options;
  const warn = (message: string): void => progress.warn(message);
  const repository = await ensureRepository(localRepositoryPlace(options.dataDir), { warn, signal });
  const lock = join(repository.dir, `.${recipe.name}-${recipe.arch}.lock`);
  const onWait = (): void => warn(`another process is making ${recipe.name}; waiting for it`);
  return withLock(lock, { signal, onWait }, async () => {
    const compressed = join(repository.dir, `${recipe.name}.xz`);
    await sweepTempFiles(compressed);
    const xzPath = join(repository.dir, tempName(`${recipe.name}.xz`));
    try {
      await makeTemplate(options, xzPath);
      return { ...(await publish(options, repository, xzPath)), repository };
    } finally {
      await rm(xzPath, { force: true });
    }
  });
}

async function makeTemplate(options: TemplateBuildOptions, xzPath: string): Promise<void> {
  await using work = await openWorkFolder();
  const { recipe, progress, jobs, signal } = options;
  const identity = templateIdentity(`${recipe.layout}\n${recipe.text}`, templateEpoch());
  const context = { ...options, identity, workDir: work.path, mirrors: options.mirrors ?? {} };
  const disk = await makeTemplateDisk(context);
  await compressDisk({ from: disk, to: xzPath }, { jobs, progress, signal });
}

/**
 * Makes the raw disk of a template in the work folder.
 *
 * @returns its path
 */
async function makeTemplateDisk(context: TemplateContext): Promise<string> {
  const layout = layoutNamed(context.recipe.layout);
  const tar = await makeTree(context, { files: layout.files(context), script: layout.script ?? '' });
  const disk = join(context.workDir, 'disk.img');
  using _ = context.progress.step('Making the disk');
  await layout.makeDisk(context, disk, tar);
  return disk;
}

async function publish(
  options: TemplateBuildOptions,
  repository: Repository,
  xzPath: string,
): Promise<PublishResult> {
  const { recipe, progress, signal } = options;
  using _ = progress.step(`Publishing ${recipe.name} in ${repository.dir}`);
  const { name, fullName, osinfo, arch, size, aliases } = recipe;
  const { expand, lvexpand } = layoutNamed(recipe.layout);
  return await addTemplate(
    repository,
    {
      ...{ name, fullName, osinfo, arch, size, aliases, xzPath, expand, lvexpand },
      format: 'raw',
      notes: recipe.notes === '' ? {} : { '': recipe.notes },
    },
    { warn: (message) => progress.warn(message), signal },
  );
}
