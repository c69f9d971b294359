import { EXIT, TsbuilderError } from '../errors.js';
import { hostArchitecture, normaliseArchitecture } from './architecture.js';
import { closeNames } from './close-names.js';
import { printable } from '../io/printable.js';
import { compareRevisions } from './revision.js';
import type { TemplateEntry } from './template-entry.js';

/** What template is wanted. */
export interface TemplateWish {
  /** Name or alias. */
  readonly name: string;
  /** In any spelling. Default: of this machine. */
  readonly arch?: string | undefined;
  /** Why sources could not be used: when nothing fits, the template may be in one of them. */
  readonly failures?: readonly TsbuilderError[] | undefined;
}

/**
 * Picks the entry for a name and architecture: a name beats an alias, then the highest revision wins, then the source
 * that comes first.
 *
 * @throws TSB_NOT_FOUND with close names and the architectures there are; or the error of a source that could not be used
 */
export function selectTemplate(entries: readonly TemplateEntry[], wish: TemplateWish): TemplateEntry {
  const arch = normaliseArchitecture(wish.arch ?? hostArchitecture());
  const fitting = entries.filter((entry) => normaliseArchitecture(entry.arch) === arch);
  const named = fitting.filter((entry) => entry.name === wish.name);
  const candidates = named.length > 0 ? named : fitting.filter(({ aliases }) => aliases.includes(wish.name));
  const best = bestEntries(candidates, () => 'any')[0];
  if (best) return best;
  throw unusableSource(entries, wish, arch) ?? notFound(entries, wish, arch);
}

/**
 * One entry for each name and architecture, in the order of their first appearance: the highest revision, and the first
 * among equals.
 */
export function bestEntries(
  entries: readonly TemplateEntry[],
  keyOf: (entry: TemplateEntry) => string = ({ name, arch }) => `${name} ${normaliseArchitecture(arch)}`,
): TemplateEntry[] {
  const best = new Map<string, TemplateEntry>();
  for (const entry of entries) {
    const key = keyOf(entry);
    const known = best.get(key);
    if (!known || compareRevisions(entry.revision, known.revision) > 0) best.set(key, entry);
  }
  return [...best.values()];
}

/** The best entry that each other source has for the name and architecture of `chosen`, in the order of the sources. */
export function rivalsOf(chosen: TemplateEntry, entries: readonly TemplateEntry[]): TemplateEntry[] {
  const arch = normaliseArchitecture(chosen.arch);
  const rivals = entries.filter(
    (entry) =>
      entry.name === chosen.name &&
      normaliseArchitecture(entry.arch) === arch &&
      entry.source !== chosen.source,
  );
  return bestEntries(rivals, ({ source }) => source.name);
}

/**
 * The error of the first source that failed (one that may be under attack before one that is merely away), with the names
 * that may have been meant: the template may be there, or nowhere by this name.
 */
function unusableSource(
  entries: readonly TemplateEntry[],
  { failures = [], name }: TemplateWish,
  arch: string,
): TsbuilderError | undefined {
  const cause = failures.find(({ exit }) => exit === EXIT.signature) ?? failures[0];
  if (!cause) return undefined;
  return new TsbuilderError(cause.code, `${printable(name)}: in no usable source; ${cause.message}`, {
    hint: [suggestion(entries, name, arch), cause.hint].filter(Boolean).join(' ') || undefined,
    details: { ...cause.details, name },
    cause,
  });
}

function notFound(entries: readonly TemplateEntry[], wish: TemplateWish, arch: string): TsbuilderError {
  const name = printable(wish.name);
  const others = otherArchitectures(entries, wish.name);
  return new TsbuilderError('TSB_NOT_FOUND', `there is no template ${name} for ${arch}`, {
    hint: suggestion(entries, wish.name, arch) ?? 'tsbuilder --list shows what there is.',
    details: { name, arch, ...(others.length > 0 && { architectures: others.join(',') }) },
  });
}

/** The architectures for which there is a template called `name`, sorted. */
function otherArchitectures(entries: readonly TemplateEntry[], name: string): string[] {
  const named = entries.filter((entry) => entry.name === name || entry.aliases.includes(name));
  return [...new Set(named.map((entry) => entry.arch))].sort();
}

/** What else there is: the same name for other architectures, or else close names. */
function suggestion(entries: readonly TemplateEntry[], name: string, arch: string): string | undefined {
  const others = otherArchitectures(entries, name);
  return others.length > 0
    ? `There is one for ${others.join(', ')}: choose with --arch.`
    : didYouMean(entries, name, arch);
}

/** The question whether a name close to `name` was meant, if there is one for this architecture. */
function didYouMean(entries: readonly TemplateEntry[], name: string, arch: string): string | undefined {
  const visible = entries.filter(({ hidden, arch: own }) => !hidden && normaliseArchitecture(own) === arch);
  const names = visible.flatMap((entry) => [entry.name, ...entry.aliases]);
  const close = closeNames(name, names).map(printable);
  return close.length > 0 ? `Did you mean ${close.join(', ')}?` : undefined;
}
