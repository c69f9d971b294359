import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { newServerLog } from '../../src/nbd/server-log.js';

describe('the log of a server', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('tells of repeats once a minute, with their number', () => {
    const lines: string[] = [];
    const log = newServerLog((line) => lines.push(line));
    for (let count = 0; count < 1900; count++) expect(log('refused')).toBe(count === 0);
    expect(lines).toEqual(['refused']);
    vi.advanceTimersByTime(60_000);
    expect(lines).toEqual(['refused', 'refused (and 1899 more like this)']);
    log('refused');
    expect(lines).toHaveLength(2);
    vi.advanceTimersByTime(60_000);
    expect(lines.slice(2)).toEqual(['refused (and 1 more like this)']);
    vi.advanceTimersByTime(60_000);
    expect(vi.getTimerCount()).toBe(0);
    expect(log('refused')).toBe(true);
  });

  it('tells lines about one subject from those about others', () => {
    const lines: string[] = [];
    const log = newServerLog((line) => lines.push(line));
    log('read at 1: block 7', '7');
    log('read at 2: block 7', '7');
    log('read at 3: block 8', '8');
    expect(lines).toEqual(['read at 1: block 7', 'read at 3: block 8']);
  });

  it('is bounded even when every line is another one', () => {
    const lines: string[] = [];
    const log = newServerLog((line) => lines.push(line));
    for (let count = 0; count < 5000; count++) log(`bad magic \x1b ${count}`);
    expect(lines).toHaveLength(201);
    expect(lines.join('')).not.toContain('\x1b');
    vi.advanceTimersByTime(60_000);
    expect(lines.at(-1)).toBe('more kinds of messages than are told apart (and 4799 more like this)');
    expect(lines).toHaveLength(202);
  });
});
