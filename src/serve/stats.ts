import type { Counters } from '../io/counters.js';
import { formatSize } from '../io/format-size.js';
import { printable } from '../io/printable.js';

/** One disk that is served, for the statistics. */
export interface ServedSource {
  /** Name of its export. */
  readonly name: string;
  /** Virtual size in bytes. */
  readonly size: number;
  readonly format: string;
}

/** What statistics are made of. */
export interface ServerState {
  readonly counters: Counters;
  readonly sources: readonly ServedSource[];
  /** How long the server has run. */
  readonly uptimeMs: number;
}

/** The share of reads that were answered without waiting for a decoder, 0..1; undefined before the first read. */
export function cacheHitRatio(counters: Counters): number | undefined {
  const total = counters.cacheHits + counters.cacheMisses;
  return total === 0 ? undefined : counters.cacheHits / total;
}

/** What the server has done so far, for people: a title, a line for each source, a line for each figure. No line break at the end. */
export function formatStats(state: ServerState): string {
  const { counters, sources } = state;
  const rows = [
    ['requests', `${formatCount(counters.requests)} (${formatCount(counters.errors)} failed)`],
    ['connections', formatCount(counters.connections)],
    ['bytes served', formatBytes(counters.bytesServed)],
    ['bytes written', formatBytes(counters.bytesWritten)],
    ['blocks decoded', `${formatCount(counters.segmentsDecoded)} (${formatSize(counters.bytesDecoded)})`],
    ['cache hits', formatHits(counters)],
    ['bytes fetched', formatBytes(counters.bytesFetched)],
    ['requests sent', formatCount(counters.httpRequests)],
  ] as const;
  const title = `Statistics after ${formatUptime(state.uptimeMs)}:`;
  const served = sources.map(
    ({ name, size, format }) =>
      `  ${printable(name === '' ? '(default)' : name)}: ${formatSize(size)}, ${format}`,
  );
  return [title, ...served, ...rows.map(([label, value]) => `  ${label.padEnd(16)}${value}`)].join('\n');
}

/** The same as data, for `--json`. */
export function statsObject(state: ServerState): Record<string, unknown> {
  return {
    ...state.counters,
    cacheHitRatio: cacheHitRatio(state.counters),
    uptimeSeconds: state.uptimeMs / 1000,
  };
}

function formatCount(value: number): string {
  return value.toLocaleString('en-US');
}

function formatBytes(value: number): string {
  return value < 1024 ? formatSize(value) : `${formatSize(value)} (${formatCount(value)} bytes)`;
}

function formatHits(counters: Counters): string {
  const ratio = cacheHitRatio(counters);
  if (ratio === undefined) return 'no reads yet';
  const reads = counters.cacheHits + counters.cacheMisses;
  return `${formatCount(counters.cacheHits)} of ${formatCount(reads)} reads (${(ratio * 100).toFixed(1)}%)`;
}

function formatUptime(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const parts: string[] = [];
  const units = [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
    ['s', 1],
  ] as const;
  let left = Math.floor(seconds);
  for (const [unit, length] of units) {
    const count = Math.floor(left / length);
    left -= count * length;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  return parts.join(' ');
}
