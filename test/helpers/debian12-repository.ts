import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, stat, utimes } from 'node:fs/promises';
import { availableParallelism, homedir } from 'node:os';
import { join } from 'node:path';
import { localRepositoryPlace, runTemplateBuild } from '../../src/build/template/build.js';
import { loadRecipe } from '../../src/build/template/recipe.js';
import { type Repository, ensureRepository, publishedTemplates } from '../../src/index-repo/publish.js';
import { withLock } from '../../src/io/lock-file.js';
import { silentProgress } from '../../src/progress.js';

/** Virtual size of the template in bytes. */
export const DEBIAN12_SIZE = 4 * 1024 ** 3;

const WEEK_MS = 7 * 86_400_000;

/** What decides about the content of the template. */
const INPUTS = [
  'templates/debian-12.yaml',
  'src/xz/block-map.ts',
  ...[
    'choose-layout',
    'compress',
    'esp',
    'ext4',
    'grub-config',
    'identity',
    'layout-gpt-uefi',
    'partition',
    'root-ext4',
    'tree',
    'unpack-tree',
  ].map((part) => `src/build/template/${part}.ts`),
];

/** A repository with the real debian-12 template in it. */
export interface TestRepository extends Repository {
  /** What TSBUILDER_DATA_DIR has to be for the program to find it as its own local repository. */
  readonly dataDir: string;
  /** The compressed template. */
  readonly xzPath: string;
}

/**
 * The real debian-12 template, made by the recipe in a folder that outlives the test run: the first call after a change
 * of the recipe or of the code that makes it takes some minutes, in which other callers wait.
 */
export async function debian12Repository(): Promise<TestRepository> {
  const caches = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'tsbuilder-test');
  await mkdir(caches, { recursive: true });
  const key = await hashOfInputs();
  return withLock(join(caches, '.lock'), {}, async () => {
    const dataDir = join(caches, key);
    const xzPath = (await findTemplate(dataDir)) ?? (await makeTemplate(caches, dataDir));
    await utimes(dataDir, new Date(), new Date());
    return { ...(await ensureRepository(localRepositoryPlace(dataDir))), dataDir, xzPath };
  });
}

async function findTemplate(dataDir: string): Promise<string | undefined> {
  const place = localRepositoryPlace(dataDir);
  const section = (await publishedTemplates(place)).find(({ name }) => name === 'debian-12');
  return section?.file === undefined ? undefined : join(place.dir, section.file);
}

async function makeTemplate(caches: string, dataDir: string): Promise<string> {
  await removeOld(caches);
  const { path } = await runTemplateBuild({
    recipe: await loadRecipe('debian-12'),
    dataDir,
    jobs: availableParallelism(),
    progress: silentProgress,
  });
  return path;
}

/** Removes templates of other versions that no test has asked for in a week. */
async function removeOld(caches: string): Promise<void> {
  for (const name of (await readdir(caches)).filter((entry) => /^[0-9a-f]{16}$/.test(entry))) {
    const { mtimeMs } = await stat(join(caches, name));
    if (Date.now() - mtimeMs > WEEK_MS) await rm(join(caches, name), { recursive: true });
  }
}

/** Changes when the template may become another. */
async function hashOfInputs(): Promise<string> {
  const root = join(import.meta.dirname, '..', '..');
  const hash = createHash('sha256');
  for (const path of INPUTS) hash.update(await readFile(join(root, path)));
  return hash.digest('hex').slice(0, 16);
}
