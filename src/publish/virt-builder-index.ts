import type { TemplateEntry } from '../index-repo/template-entry.js';
import type { IndexProblem } from './index-problems.js';

/** Where a reader of virt-builder 1.48 is in an index. */
type State = 'start' | 'head' | 'section' | 'gap';

/**
 * What virt-builder 1.48 refuses in an index whose grammar we accept (its builder/index-parse.y and index-scan.l; the differences are listed in
 * docs/index-format.md). `text` is as in the file, with its line ends.
 */
export function virtBuilderWarnings(text: string, firstLine = 1): IndexProblem[] {
  if (text === '') return [];
  const lines = text.split('\n');
  const found: IndexProblem[] = [];
  const warn = (at: number, message: string): void => {
    if (found.length < 1000) found.push(warning(firstLine + at, `virt-builder 1.48 refuses ${message}`));
  };
  const crlf = lines.findIndex((line) => line.endsWith('\r'));
  if (crlf >= 0) warn(crlf, 'lines that end in CRLF');
  if (lines.at(-1) !== '') warn(lines.length - 1, 'a last line without a newline');
  else lines.pop();
  let state: State = 'start';
  for (const [at, ended] of lines.entries()) {
    const line = ended.replace(/\r$/, '');
    if (line.startsWith('#')) continue;
    const next = after(state, line);
    if (next.refused !== undefined) warn(at, next.refused);
    state = next.state;
  }
  return found.sort((a, b) => a.line - b.line);
}

/** The state behind a line, and what is refused about it. */
function after(state: State, line: string): { state: State; refused?: string } {
  if (line === '') return { state: state === 'head' || state === 'section' ? 'gap' : state };
  if (line.startsWith('[')) {
    const close = state === 'head' || state === 'section';
    return { state: 'head', ...(close && { refused: 'a section without a blank line in front of it' }) };
  }
  // In a signed text only; what is behind the dash is what counts for everybody else.
  if (line.startsWith('- ')) return { ...after(state, line.slice(2)), refused: 'a line escaped with a dash' };
  if (/^[ \t]/.test(line) && state !== 'section')
    return { state, refused: 'a line that begins with a blank where no value is open' };
  return { state: 'section', ...(state === 'gap' && { refused: 'a blank line inside a section' }) };
}

/** What nobody refuses and is not good. */
export function entryWarnings(
  entries: readonly TemplateEntry[],
  lineOf: (entry: TemplateEntry) => number,
): IndexProblem[] {
  return entries
    .filter(({ sha512, sha256, sigUrl }) => (sha512 ?? sha256 ?? sigUrl) === undefined)
    .map((entry) =>
      warning(
        lineOf(entry),
        `[${entry.name}] has neither a checksum nor sig=: nobody vouches for the template`,
      ),
    );
}

function warning(line: number, message: string): IndexProblem {
  return { severity: 'warning', code: 'TSB_INDEX_INVALID', line, column: 1, message };
}
