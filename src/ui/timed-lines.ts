import type { Progress, Step } from '../progress.js';
import { printable } from '../io/printable.js';

/** Where lines go. */
export interface LineSink {
  write(line: string): void;
}

/**
 * Progress for logs: one line as each step starts, with the seconds since the program's start, in virt-builder's form
 * `[   1.0] Downloading ...`.
 */
export function timedLines(sink: LineSink, options: { verbose?: boolean } = {}): Progress {
  const begin = performance.now() - process.uptime() * 1000;
  const stamp = (): string => `[${((performance.now() - begin) / 1000).toFixed(1).padStart(6)}]`;
  return {
    step(label): Step {
      sink.write(`${stamp()} ${printable(label)}`);
      return { advance: () => undefined, [Symbol.dispose]: () => undefined };
    },
    warn: (message) => sink.write(`tsbuilder: warning: ${printable(message)}`),
    detail: (message) => {
      if (options.verbose) sink.write(`${stamp()} ${printable(message)}`);
    },
  };
}

/** Progress for `--quiet`: warnings only. */
export function warningsOnly(sink: LineSink): Progress {
  return {
    ...timedLines(sink),
    step: () => ({ advance: () => undefined, [Symbol.dispose]: () => undefined }),
  };
}
