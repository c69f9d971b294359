import { styleText } from 'node:util';
import ora, { type Ora } from 'ora';
import { formatSize } from '../io/format-size.js';
import type { Progress, Step } from '../progress.js';
import { printable } from '../io/printable.js';
import { type RunningStep, stepLine } from './step-line.js';

const INTERVAL_MS = 100;

/** What ora puts before the text. */
const SYMBOL_COLUMNS = 2;

/**
 * Progress for a terminal: one spinner line for all steps that are running, each with bytes, rate and time left as far as there is room; a
 * finished step stays on the screen as a ticked line with how long it took. One that ended before its last byte, or
 * after `signal` aborted, stays with how far it came, without a tick.
 */
export function spinner(
  stream: NodeJS.WriteStream,
  options: { readonly verbose?: boolean } = {},
  signal?: AbortSignal,
): Progress {
  const running = new Set<RunningStep>();
  let line: Ora | undefined;
  const show = (): void => {
    const text = stepLine([...running], { now: performance.now(), columns: stream.columns - SYMBOL_COLUMNS });
    if (line) line.text = text;
    else line = ora({ text, stream, discardStdin: false, isEnabled: true }).start();
  };
  const above = (text: string): void => {
    line?.stop();
    line = undefined;
    stream.write(`${text}\n`);
    if (running.size > 0) show();
  };
  return {
    step(label, totalBytes): Step {
      const step = { label: printable(label), totalBytes, begin: performance.now(), bytes: 0 };
      running.add(step);
      show();
      let drawn = 0;
      return {
        advance(bytes) {
          step.bytes += bytes;
          if (!running.has(step) || performance.now() - drawn < INTERVAL_MS) return;
          drawn = performance.now();
          show();
        },
        [Symbol.dispose]() {
          if (running.delete(step)) above(endLine(step, stream, signal));
        },
      };
    },
    warn: (message) => above(`${styleText('yellow', '⚠', { stream })} ${printable(message)}`),
    detail: (message) => {
      if (options.verbose) above(styleText('dim', `  ${printable(message)}`, { stream }));
    },
  };
}

function endLine(step: RunningStep, stream: NodeJS.WriteStream, signal?: AbortSignal): string {
  const seconds = styleText('dim', `${((performance.now() - step.begin) / 1000).toFixed(1)} s`, { stream });
  const { label, bytes, totalBytes } = step;
  if (signal?.aborted !== true && (totalBytes === undefined || bytes >= totalBytes)) {
    return `${styleText('green', '✔', { stream })} ${label} ${seconds}`;
  }
  const total = totalBytes === undefined ? '' : ` of ${formatSize(totalBytes)}`;
  const reached = bytes > 0 || totalBytes !== undefined ? `: ${formatSize(bytes)}${total}` : '';
  return `${styleText('yellow', '•', { stream })} ${label}${reached} ${seconds}`;
}
