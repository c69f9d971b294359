import { type Progress, type Step, silentProgress } from '../progress.js';
import type { LineSink } from './timed-lines.js';

const INTERVAL_MS = 250;

/**
 * Progress for programs: one JSON object per line, with `type` (`step`, `progress`, `done`, `warning`, `detail`),
 * `timestamp` (RFC 3339) and, for steps, `label`, `bytes` and `totalBytes`. At most four `progress` lines a second. With
 * `quiet` only warnings.
 */
export function jsonLines(sink: LineSink, options: { verbose?: boolean; quiet?: boolean } = {}): Progress {
  const emit = (type: string, fields: Record<string, unknown>): void =>
    sink.write(JSON.stringify({ type, timestamp: new Date().toISOString(), ...fields }));
  return {
    step: (label, totalBytes) =>
      options.quiet === true ? silentProgress.step(label) : jsonStep(emit, { label, totalBytes }),
    warn: (message) => emit('warning', { message }),
    detail: (message) => {
      if (options.verbose === true && options.quiet !== true) emit('detail', { message });
    },
  };
}

function jsonStep(
  emit: (type: string, fields: Record<string, unknown>) => void,
  about: { label: string; totalBytes: number | undefined },
): Step {
  let bytes = 0;
  let last = -Infinity;
  let ended = false;
  emit('step', about);
  return {
    advance(count) {
      bytes += count;
      if (ended || performance.now() - last < INTERVAL_MS) return;
      last = performance.now();
      emit('progress', { ...about, bytes });
    },
    [Symbol.dispose]() {
      if (!ended) emit('done', { ...about, bytes });
      ended = true;
    },
  };
}
