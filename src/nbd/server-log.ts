import { printable } from '../io/printable.js';

/** How often a subject may have a line once it has had one. */
const INTERVAL_MS = 60_000;

/** Subjects that are told apart at once; clients can make up as many as they like. */
const MAX_SUBJECTS = 200;

/** Writes a line about `subject`, and returns whether it was written and not counted only. Default: the line is its own subject. */
export type Log = (line: string, subject?: string) => boolean;

/**
 * A log that clients cannot flood, however many they are: the first line about a subject is written at once, those after it are
 * counted, and told once a minute in one line for as long as they come. When there are too many subjects, the rest are one.
 */
export function newServerLog(write: (line: string) => void, intervalMs = INTERVAL_MS): Log {
  const counts = new Map<string, number>();
  const summarize = (subject: string, line: string): void => {
    const more = counts.get(subject) ?? 0;
    counts.delete(subject);
    if (more === 0) return;
    write(`${line} (and ${more} more like this)`);
    watch(subject, line);
  };
  const watch = (subject: string, line: string): void => {
    counts.set(subject, 0);
    setTimeout(() => summarize(subject, line), intervalMs).unref();
  };
  return (text, about = text) => {
    const full = counts.size >= MAX_SUBJECTS && !counts.has(about);
    const [subject, line] = full
      ? ['', 'more kinds of messages than are told apart']
      : [about, printable(text)];
    const seen = counts.get(subject);
    if (seen !== undefined) {
      counts.set(subject, seen + 1);
      return false;
    }
    write(line);
    watch(subject, line);
    return true;
  };
}
