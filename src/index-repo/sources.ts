import { access, readFile, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { type Progress, silentProgress } from '../progress.js';
import { type CommandLineSources, commandLineSources } from './command-line-sources.js';
import type { SourceConfig } from './source-config.js';
import { type ConfSection, parseSourceConf } from './source-conf.js';
import { type FolderEnv, configHome, localRepositoryFolder, userSourcesFolder } from './user-folders.js';

/** Where sources are looked for. */
export interface SourceOptions extends CommandLineSources {
  readonly progress: Progress;
  /** Default: the environment of the process. */
  readonly env?: FolderEnv | undefined;
  /** In place of `/etc`, for tests. */
  readonly systemFolder?: string | undefined;
}

const MAX_CONF_BYTES = 1024 * 1024;

/** The sources that come with the program. */
export const SHIPPED_SOURCES: string = join(import.meta.dirname, '..', '..', 'templates', 'sources');

/**
 * The sources to use: those of `--source` alone, if there are any (a bare word that is the name of a configured source and
 * of no file stands for that source, with its own keys); else the local repository, if it has an index, and then the
 * .conf files of {@link sourceFolders}. A file name, an `[id]` or a location that came earlier masks the same later.
 *
 * @throws TSB_USAGE when the options contradict each other
 */
export async function loadSources(options: SourceOptions): Promise<SourceConfig[]> {
  const { sources: wanted = [] } = options;
  const { named, others } = await splitNamed(wanted, options);
  const given = [...named, ...commandLineSources({ ...options, sources: others })];
  return given.length > 0 ? given : allSources(options);
}

async function allSources(options: SourceOptions): Promise<SourceConfig[]> {
  return withoutRepeats([...(await localSource(options.env)), ...(await configuredSources(options))]);
}

/** Which of the values of `--source` are names of configured sources. */
async function splitNamed(
  wanted: readonly string[],
  options: SourceOptions,
): Promise<{ named: SourceConfig[]; others: string[] }> {
  const words: string[] = [];
  for (const value of wanted) if (/^[^/:]+$/.test(value) && !(await exists(value))) words.push(value);
  const known = words.length > 0 ? await allSources(options) : [];
  const named = known.filter(({ name }) => words.includes(name));
  const names = named.map(({ name }) => name);
  return { named, others: wanted.filter((value) => !names.includes(value)) };
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** The folders with .conf files, in order: the user's, the system's, those of virt-builder, and the one shipped. */
function sourceFolders({
  env = process.env,
  systemFolder = '/etc',
}: Omit<SourceOptions, 'progress'>): string[] {
  const virtBuilder = (env['VIRT_BUILDER_DIRS'] ?? systemFolder).split(':').filter((folder) => folder !== '');
  return [
    userSourcesFolder(env),
    join(systemFolder, 'tsbuilder', 'repos.d'),
    ...[configHome(env), ...virtBuilder].map((folder) => join(folder, 'virt-builder', 'repos.d')),
    SHIPPED_SOURCES,
  ];
}

async function localSource(env: FolderEnv | undefined): Promise<SourceConfig[]> {
  const folder = localRepositoryFolder(env);
  const uri = join(folder, 'index.asc');
  if (!(await exists(uri))) return [];
  const keyFiles = [join(folder, 'key.asc')];
  return [{ name: 'local', uri, format: 'native', keyFiles, fingerprints: [], origin: 'local repository' }];
}

async function configuredSources(options: SourceOptions): Promise<SourceConfig[]> {
  const seenFiles = new Set<string>();
  const seenNames = new Set<string>();
  const sources: SourceConfig[] = [];
  for (const path of await confFiles(options)) {
    const file = basename(path);
    if (seenFiles.has(file)) continue;
    seenFiles.add(file);
    for (const section of await readConf(path, options.progress)) {
      if (section.kind === 'ignored') {
        options.progress.warn(section.reason);
        continue;
      }
      const name = nameOf(section);
      if (!seenNames.has(name) && section.kind === 'source') sources.push(section.source);
      seenNames.add(name);
    }
  }
  return sources;
}

/** A place where a .conf file defines, or switches off, the source of some name. */
export interface SourcePlace {
  readonly path: string;
  readonly kind: 'source' | 'disabled';
  /** The .conf file because of which this place has no say. */
  readonly hiddenBy?: string | undefined;
}

/** All places that are about the source `name`, in the order in which they are looked at: the first not hidden counts. */
export async function placesOf(name: string, options: SourceOptions): Promise<SourcePlace[]> {
  const files = new Map<string, string>();
  const places: SourcePlace[] = [];
  for (const path of await confFiles(options)) {
    const sections = await readConf(path, silentProgress);
    const known = sections.filter((section) => section.kind !== 'ignored');
    const found = known.find((section) => nameOf(section) === name);
    const hiddenBy = files.get(basename(path)) ?? places.find((place) => !place.hiddenBy)?.path;
    if (found) places.push({ path, kind: found.kind, hiddenBy });
    if (!files.has(basename(path))) files.set(basename(path), path);
  }
  return places;
}

/** The names of all .conf files that are looked at. */
export async function confNames(options: SourceOptions): Promise<Set<string>> {
  return new Set((await confFiles(options)).map((path) => basename(path)));
}

function nameOf(section: Exclude<ConfSection, { kind: 'ignored' }>): string {
  return section.kind === 'source' ? section.source.name : section.name;
}

async function confFiles(options: SourceOptions): Promise<string[]> {
  const folders = await Promise.all(
    sourceFolders(options).map(async (folder) => {
      const names = await readdir(folder).catch((error: unknown) => {
        if (!['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? ''))
          options.progress.warn(`${folder}: its sources are not used: ${messageOf(error)}`);
        return [];
      });
      return names
        .filter((name) => name.endsWith('.conf'))
        .sort()
        .map((name) => join(folder, name));
    }),
  );
  return folders.flat();
}

async function readConf(path: string, progress: Progress): Promise<ConfSection[]> {
  try {
    const text = await readFile(path, 'utf8');
    if (text.length > MAX_CONF_BYTES) throw new Error(`longer than ${MAX_CONF_BYTES} characters`);
    return parseSourceConf(text, path);
  } catch (error) {
    const reason = error instanceof TsbuilderError ? error.message : `${path}: ${messageOf(error)}`;
    progress.warn(`${reason}; this file is not used`);
    return [];
  }
}

/** One source for each location, the first. */
function withoutRepeats(sources: readonly SourceConfig[]): SourceConfig[] {
  const seen = new Set<string>();
  return sources.filter(({ uri }) => !seen.has(uri) && seen.add(uri));
}
