import { describe, expect, it } from 'vitest';
import { newEnding } from '../../src/serve/ending.js';

const reason = new Error('SIGTERM');

describe('newEnding', () => {
  it('stops what is being opened when the end comes before it is ready', () => {
    const user = new AbortController();
    const ending = newEnding(user.signal);
    user.abort(reason);
    expect(ending.opening.reason).toBe(reason);
    expect(ending.cause()).toBe('signal');
    expect(() => ending.ready()).toThrow(reason);
  });

  it('lets disks be read until it is disposed of when the end comes later', () => {
    const user = new AbortController();
    const ending = newEnding(user.signal);
    ending.ready();
    ending.end('last client');
    user.abort(reason);
    expect(ending.signal.aborted).toBe(true);
    expect(ending.opening.aborted).toBe(false);
    expect(ending.cause()).toBe('last client');
    ending[Symbol.dispose]();
    expect(ending.opening.aborted).toBe(true);
  });

  it('heeds a signal that came before', () => {
    const ending = newEnding(AbortSignal.abort(reason));
    expect(ending.signal.reason).toBe(reason);
    expect(ending.opening.aborted).toBe(true);
  });

  it('calls the end of the parent an interruption', () => {
    const ending = newEnding(new AbortController().signal);
    ending.end('parent');
    expect(ending.opening.reason).toMatchObject({ code: 'TSB_INTERRUPTED' });
  });
});
