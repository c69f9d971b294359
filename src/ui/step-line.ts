import { formatSize } from '../io/format-size.js';

/** A step that is running. Times in milliseconds, of one clock. */
export interface RunningStep {
  readonly label: string;
  readonly totalBytes: number | undefined;
  readonly begin: number;
  bytes: number;
}

/** When a rate, and when the time left, is more than a guess. */
const RATE_MS = 1000;
const LEFT_MS = 2000;
const LEFT_SHARE = 0.02;

/**
 * One line about all `steps`, of at most `columns` columns: with bytes, rate and time left; where that is too long with the
 * share done in place of the bytes, then without the rate, then with the share alone; and at last cut off.
 */
export function stepLine(steps: readonly RunningStep[], view: { now: number; columns: number }): string {
  const lines = [withBytes, withRate, withTime, withShare].map((describe) =>
    steps.map((step) => describe(step, view.now)).join('   '),
  );
  return lines.find((line) => widthOf(line) <= view.columns) ?? cut(lines.at(-1) ?? '', view.columns);
}

function withBytes(step: RunningStep, now: number): string {
  if (step.bytes === 0) return step.label;
  const total = step.totalBytes === undefined ? '' : ` of ${formatSize(step.totalBytes)}`;
  return `${step.label}: ${[`${formatSize(step.bytes)}${total}`, ...rate(step, now), ...timeLeft(step, now)].join(', ')}`;
}

function withRate(step: RunningStep, now: number): string {
  return labelled(step, [...rate(step, now), ...timeLeft(step, now)]);
}

function withTime(step: RunningStep, now: number): string {
  return labelled(step, timeLeft(step, now));
}

function withShare(step: RunningStep): string {
  return labelled(step, []);
}

function labelled(step: RunningStep, more: readonly string[]): string {
  return step.bytes === 0 ? step.label : `${step.label}: ${[share(step), ...more].join(', ')}`;
}

function share({ bytes, totalBytes }: RunningStep): string {
  return totalBytes ? `${Math.min(100, Math.floor((100 * bytes) / totalBytes))} %` : formatSize(bytes);
}

function rate({ bytes, begin }: RunningStep, now: number): string[] {
  const elapsed = now - begin;
  return elapsed < RATE_MS ? [] : [`${formatSize((1000 * bytes) / elapsed)}/s`];
}

function timeLeft({ bytes, totalBytes, begin }: RunningStep, now: number): string[] {
  const elapsed = now - begin;
  if (elapsed < LEFT_MS || totalBytes === undefined || bytes < LEFT_SHARE * totalBytes) return [];
  return bytes < totalBytes ? [`${formatSeconds(((totalBytes / bytes - 1) * elapsed) / 1000)} left`] : [];
}

function formatSeconds(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** Columns that `text` takes at most: characters beyond the Greek and Arabic kind may be two wide. */
function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += columnsOf(character);
  return width;
}

function columnsOf(character: string): number {
  return (character.codePointAt(0) ?? 0) >= 0x1100 ? 2 : 1;
}

function cut(text: string, columns: number): string {
  let room = columns - columnsOf('…');
  let result = '';
  for (const character of text) {
    room -= columnsOf(character);
    if (room < 0) break;
    result += character;
  }
  return columns < columnsOf('…') ? '' : `${result}…`;
}
