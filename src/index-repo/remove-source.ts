import { readFile, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { closeNames } from './close-names.js';
import { readSections } from './index-lexer.js';
import { writeSourceFile } from './manage-sources.js';
import { type SourceOptions, confNames, loadSources, placesOf } from './sources.js';
import { userSourcesFolder } from './user-folders.js';

/** What became of a source. */
export interface RemovedSource {
  /** `removed`: its own definition is gone; `disabled`: one that hides it was written; `was-disabled`: there was one already. */
  readonly action: 'removed' | 'disabled' | 'was-disabled';
  /** The .conf file that was changed, removed or written, or that disables it. */
  readonly path: string;
  /** The .conf file whose source of this name was hidden so far and is used from now on. */
  readonly uncovered?: string | undefined;
}

/**
 * Removes a source of the user's own; disables one that comes from elsewhere, by a file in the user's folder.
 *
 * @throws TSB_NOT_FOUND when there is none of that name; TSB_USAGE for the local repository; TSB_IO
 */
export async function removeSource(name: string, options: SourceOptions): Promise<RemovedSource> {
  const folder = userSourcesFolder(options.env);
  const places = await placesOf(name, options);
  const counting = places.find(({ hiddenBy }) => hiddenBy === undefined);
  if (counting?.kind === 'disabled') return { action: 'was-disabled', path: counting.path };
  if (!counting) throw await notFound(name, places[0], options);
  if (dirname(counting.path) !== folder) {
    const path = join(folder, await freeName(name, options));
    const reason = `# Hides the source of this name that ${counting.path} defines.`;
    await writeSourceFile(path, `${reason}\n[${name}]\nenabled=false\n`);
    return { action: 'disabled', path };
  }
  await cutSection(counting.path, name);
  await unlink(join(folder, `${name}.asc`)).catch(() => undefined);
  const next = (await placesOf(name, options)).find(({ hiddenBy }) => hiddenBy === undefined);
  const uncovered = next?.kind === 'source' ? next.path : undefined;
  return { action: 'removed', path: counting.path, uncovered };
}

async function notFound(
  name: string,
  hidden: { path: string; hiddenBy?: string | undefined } | undefined,
  options: SourceOptions,
): Promise<TsbuilderError> {
  if (hidden?.hiddenBy !== undefined) {
    return new TsbuilderError(
      'TSB_NOT_FOUND',
      `source ${JSON.stringify(name)} is not in use: ${hidden.path} defines it, but ${hidden.hiddenBy} stands in for that file`,
      { hint: 'There is nothing to remove as long as the other file is there.' },
    );
  }
  const sources = await loadSources(options);
  const local = sources.find((one) => one.name === name);
  if (local) {
    return new TsbuilderError('TSB_USAGE', 'the local repository is not a configured source', {
      hint: `It is used as long as it exists: ${dirname(local.uri)}`,
    });
  }
  const close = closeNames(
    name,
    sources.map((one) => one.name),
  );
  const hint = close.length > 0 ? `Did you mean ${close.join(', ')}?` : 'tsbuilder source list shows them.';
  return new TsbuilderError('TSB_NOT_FOUND', `there is no source ${JSON.stringify(name)}`, { hint });
}

/** A name for a .conf file that neither is taken nor hides a file of another folder, which may define more than one source. */
async function freeName(name: string, options: SourceOptions): Promise<string> {
  const taken = await confNames(options);
  for (let i = 1; ; i += 1) {
    const candidate = `${name}-disabled${i === 1 ? '' : `-${i}`}.conf`;
    if (!taken.has(candidate)) return candidate;
  }
}

/** Takes the section out of the file; takes the file away when no other section is left. */
async function cutSection(path: string, name: string): Promise<void> {
  const text = await readFile(path, 'utf8');
  const sections = readSections(text, { url: path });
  const others = sections.filter((section) => section.name !== name);
  if (others.length === 0) {
    await unlink(path);
    return;
  }
  const lines = text.split('\n');
  for (const [i, section] of [...sections.entries()].reverse()) {
    const end = sections[i + 1]?.at.line ?? lines.length + 1;
    if (section.name === name) lines.splice(section.at.line - 1, end - section.at.line);
  }
  await writeSourceFile(path, lines.join('\n'));
}
