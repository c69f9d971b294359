import type { Progress } from '../progress.js';
import { jsonLines } from './json-lines.js';
import { timedLines, warningsOnly } from './timed-lines.js';

/** What decides how progress is shown. */
export interface ProgressChoice {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

/**
 * The Progress for this run, on standard error: JSON lines with `--json`, only warnings with `--quiet`, a spinner on a
 * terminal, timed lines elsewhere. A terminal that reports no columns (some containers) counts as none. Steps that end
 * after `signal` has aborted are not shown as done.
 */
export async function chooseProgress(choice: ProgressChoice, signal?: AbortSignal): Promise<Progress> {
  const stream = process.stderr;
  const sink = { write: (line: string) => void stream.write(`${line}\n`) };
  if (choice.json) return jsonLines(sink, choice);
  if (choice.quiet) return warningsOnly(sink);
  if (!stream.isTTY || !stream.columns || process.env['TERM'] === 'dumb') return timedLines(sink, choice);
  const { spinner } = await import('./spinner.js');
  return spinner(stream, choice, signal);
}
