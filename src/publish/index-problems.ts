import { type ErrorCode, TsbuilderError } from '../errors.js';
import { type IndexContext, parseIndex } from '../index-repo/index-file.js';
import { type Section, readSections } from '../index-repo/index-lexer.js';
import type { TemplateEntry } from '../index-repo/template-entry.js';

/** Something that is wrong with an index, or that somebody will not like about it. */
export interface IndexProblem {
  readonly severity: 'error' | 'warning';
  readonly code: ErrorCode;
  /** Both counted from 1, in the file. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** What is wrong with an index, and the entries that nothing is wrong with. */
export interface IndexProblems {
  readonly problems: readonly IndexProblem[];
  readonly entries: readonly TemplateEntry[];
}

/** A header line and what belongs to it, or what stands in front of the first header. */
interface Chunk {
  readonly firstLine: number;
  readonly lines: string[];
  readonly problems: IndexProblem[];
}

const MAX_PROBLEMS = 1000;
/** What takes the place of a value that is wrong, so that the rest of its section can be read. */
const STAND_IN: Readonly<Record<string, string>> = { arch: 'unknown', file: 'unknown', size: '1' };

/**
 * Everything that `parseIndex` would refuse in an index, not only the first, in the order of the text: each section is read by
 * itself, and what is wrong in it is replaced by something harmless until the rest can be read. There are none exactly when
 * `parseIndex` accepts the text.
 */
export function findIndexProblems(text: string, context: IndexContext): IndexProblems {
  const whole = firstProblem(() => parseIndex(text, context));
  if (Array.isArray(whole)) return { problems: [], entries: whole };
  const problems: IndexProblem[] = [];
  const entries: TemplateEntry[] = [];
  const seen = new Map<string, number>();
  for (const chunk of splitChunks(text, context.firstLine ?? 1)) {
    const entry = readChunk(chunk, context);
    if (entry && chunk.problems.length === 0) {
      const id = `${entry.name} ${entry.arch}`;
      const first = seen.get(id);
      if (first === undefined) entries.push(entry);
      else chunk.problems.push(again(entry, { line: chunk.firstLine, first }));
      seen.set(id, first ?? chunk.firstLine);
    }
    problems.push(...chunk.problems);
    if (problems.length >= MAX_PROBLEMS) break;
  }
  // What only the whole text can have: too much of something.
  return { problems: problems.length === 0 ? [whole] : problems.slice(0, MAX_PROBLEMS), entries };
}

function again(
  { name, arch }: TemplateEntry,
  { line, first }: { line: number; first: number },
): IndexProblem {
  const message = `[${name}] for ${arch} appears again; it is already in line ${first}`;
  return { severity: 'error', code: 'TSB_INDEX_INVALID', line, column: 1, message };
}

function splitChunks(text: string, firstLine: number): Chunk[] {
  const chunks: Chunk[] = [{ firstLine, lines: [], problems: [] }];
  for (const [at, line] of text.split('\n').entries()) {
    if (line.startsWith('[')) chunks.push({ firstLine: firstLine + at, lines: [], problems: [] });
    chunks.at(-1)?.lines.push(line);
  }
  return chunks;
}

/** The entry of a chunk, mended where it has to be; what was wrong is added to the chunk's problems. */
function readChunk(chunk: Chunk, context: IndexContext): TemplateEntry | undefined {
  const origin = { ...context, firstLine: chunk.firstLine };
  // Each round mends one line, and each line at most twice.
  for (let round = 0; round <= 2 * chunk.lines.length; round += 1) {
    if (chunk.problems.length >= MAX_PROBLEMS) return undefined;
    const text = chunk.lines.join('\n');
    const sections = firstProblem(() => readSections(text, origin));
    const read = Array.isArray(sections)
      ? firstProblem(() => parseIndex(completed(chunk, sections[0], text), origin))
      : sections;
    if (Array.isArray(read)) return read[0];
    if (!sameAsLast(chunk, read)) chunk.problems.push(read);
    if (!mend(chunk, read.line - chunk.firstLine)) return undefined;
  }
  return undefined;
}

/** `text` with the required fields that the section lacks; that it lacks them is noted down once. */
function completed(chunk: Chunk, section: Section | undefined, text: string): string {
  if (!section) return text;
  const missing = Object.keys(STAND_IN).filter(
    (key) => !section.fields.some((field) => field.key === key && field.subkey === undefined),
  );
  for (const key of missing) {
    const message = `[${section.name}] has no ${key}=`;
    if (chunk.problems.some((known) => known.message === message)) continue;
    chunk.problems.push({
      ...{ severity: 'error', code: 'TSB_INDEX_INVALID', line: chunk.firstLine, column: 1 },
      message,
    });
  }
  return [text, ...missing.map((key) => `${key}=${STAND_IN[key] ?? ''}`)].join('\n');
}

function sameAsLast({ problems }: Chunk, found: IndexProblem): boolean {
  const last = problems.at(-1);
  return last?.line === found.line && last.column === found.column && last.message === found.message;
}

/** Replaces what begins in line `at` of the chunk. @returns whether anything changed */
function mend({ lines }: Chunk, at: number): boolean {
  const line = lines[at];
  if (line === undefined) return false;
  if (line.startsWith('\uFEFF')) {
    lines[at] = line.slice(1);
    return true;
  }
  const key = /^(arch|file|size)=/.exec(line)?.[1];
  const header = at === 0 && line.startsWith('[');
  const mended = header ? '[unknown]' : mendedField(lines, at, key);
  if (mended === line) return false;
  lines[at] = mended;
  // The rest of a value goes with it.
  if (header || /^[ \t]/.test(line)) return true;
  for (let next = at + 1; /^(?:[ \t]|\r?$)/.test(lines[next] ?? 'end'); next += 1) lines[next] = '#';
  return true;
}

/** Of a field that is there twice the second one goes, and one that is wrong twice. */
function mendedField(lines: readonly string[], at: number, key: string | undefined): string {
  if (key === undefined) return '#';
  const first = lines.findIndex((line) => line.startsWith(`${key}=`));
  const mended = `${key}=${STAND_IN[key] ?? ''}`;
  return first < at || lines[at] === mended ? '#' : mended;
}

/** What `read` returns, or its error as a problem. */
function firstProblem<T>(read: () => T[]): T[] | IndexProblem {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof TsbuilderError)) throw error;
    const { line = 1, column = 1, url = '' } = error.details;
    const place = `${String(url)}:${String(line)}:${String(column)}: `;
    const message = error.message.startsWith(place) ? error.message.slice(place.length) : error.message;
    return {
      ...{ severity: 'error', code: error.code, line: Number(line), column: Number(column) },
      message,
    };
  }
}
