import type { FileType } from '../guest.js';
import { type LinearRegex, type StepBudget, compileLinearRegex } from './linear-regex.js';

/** Which label the guest's policy gives to a file. */
export interface FileContexts {
  /**
   * The context of `path`; undefined when no line matches or the matching one says that there is none. A file whose
   * matching took too many steps is undefined too.
   */
  lookup(path: string, type: FileType): string | undefined;
}

/** The texts of a policy's file_contexts files. */
export interface FileContextsTexts {
  /** file_contexts, file_contexts.homedirs, file_contexts.local, in this order. */
  readonly contexts: readonly string[];
  /** file_contexts.subs, file_contexts.subs_dist: paths that are to be labelled like others. */
  readonly substitutions: readonly string[];
}

interface Spec {
  readonly pattern: string;
  /** The characters that every match begins with. */
  readonly stem: string;
  readonly type: FileType | undefined;
  readonly context: string;
  regex?: LinearRegex | undefined;
}

const TYPES: Readonly<Record<string, FileType>> = {
  '--': 'file',
  '-d': 'directory',
  '-l': 'symlink',
  '-c': 'character',
  '-b': 'block',
  '-p': 'fifo',
  '-s': 'socket',
};

const META = /[.^$?*+|[({\\]/;
const MAX_LINES = 100_000;
const STEPS = 20_000_000;

/**
 * Parses the files that say which SELinux context belongs to which path (selabel_file(5)): the last matching line
 * wins, and a line without special characters wins over all with them. Lines that are not understood are left out.
 */
export function parseFileContexts(texts: FileContextsTexts): FileContexts {
  const specs = texts.contexts.flatMap(parseSpecs);
  const ordered = [...specs.filter(hasMeta), ...specs.filter((spec) => !hasMeta(spec))].reverse();
  const substitutions = texts.substitutions.map(parseSubstitutions);
  const budget: StepBudget = { left: STEPS };
  return {
    lookup(path, type) {
      const real = substitutions.reduce(substitute, path);
      const found = ordered.find((spec) => (spec.type ?? type) === type && matchesSpec(spec, real, budget));
      if (budget.left <= 0 || found?.context === '<<none>>') return undefined;
      return found?.context;
    },
  };
}

const hasMeta = (spec: Spec): boolean => META.test(spec.pattern);

function parseSpecs(text: string): Spec[] {
  return text
    .split('\n')
    .slice(0, MAX_LINES)
    .flatMap((line) => {
      const words = line.trim().split(/\s+/);
      const [pattern = ''] = words;
      const context = words.at(-1) ?? '';
      if (!pattern.startsWith('/') || words.length < 2 || words.length > 3) return [];
      const type = words.length === 3 ? TYPES[words[1] ?? ''] : undefined;
      if (words.length === 3 && type === undefined) return [];
      return [{ pattern, stem: stemOf(pattern), type, context }];
    });
}

/** Up to the last `/` before the first special character, which no `?` or `*` behind it can take away. */
function stemOf(pattern: string): string {
  if (hasOuterChoice(pattern)) return '';
  const meta = pattern.search(META);
  if (meta < 0) return pattern;
  return pattern.slice(0, pattern.lastIndexOf('/', meta - 2) + 1);
}

/** Whether there is a `|` that no group confines. */
function hasOuterChoice(pattern: string): boolean {
  let depth = 0;
  for (const sign of pattern.replace(/\\./g, '').replace(/\[[^\]]*\]/g, '')) {
    if (sign === '(') depth += 1;
    else if (sign === ')') depth -= 1;
    else if (sign === '|' && depth === 0) return true;
  }
  return false;
}

function matchesSpec(spec: Spec, path: string, budget: StepBudget): boolean {
  if (!path.startsWith(spec.stem)) return false;
  if (!hasMeta(spec)) return path === spec.pattern;
  if (!('regex' in spec)) spec.regex = compileLinearRegex(spec.pattern);
  return spec.regex?.(path, budget) ?? false;
}

function parseSubstitutions(text: string): [string, string][] {
  return text
    .split('\n')
    .slice(0, MAX_LINES)
    .flatMap((line): [string, string][] => {
      const [from = '', to = ''] = line.trim().split(/\s+/);
      return from.startsWith('/') && to.startsWith('/') ? [[from, to]] : [];
    });
}

function substitute(path: string, rules: readonly [string, string][]): string {
  const rule = rules.find(([from]) => path === from || path.startsWith(`${from}/`));
  return rule ? rule[1] + path.slice(rule[0].length) : path;
}
