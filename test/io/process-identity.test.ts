import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { formatIdentity, ownIdentity, parseIdentity, processState } from '../../src/io/process-identity.js';
import { run } from '../helpers/disk-tools.js';

describe('process identity', () => {
  it('survives a file name', () => {
    const text = formatIdentity(ownIdentity());
    expect(text).toMatch(/^[0-9a-f-]{1,48}$/);
    expect(parseIdentity(text)).toEqual(ownIdentity());
  });

  it('refuses other texts', () => {
    for (const text of [
      '',
      'x',
      '0-1-0123456789abcdef',
      '1-1-0123',
      '1-1-0123456789abcdef.tsb',
      '-1-1-0123456789abcdef',
    ])
      expect(parseIdentity(text)).toBeUndefined();
  });

  it('sees this process alive', () => {
    expect(processState(ownIdentity())).toBe('alive');
  });

  it('sees a reused pid as dead', () => {
    expect(processState({ ...ownIdentity(), startTime: '1' })).toBe('dead');
  });

  it('judges no process of another table', () => {
    expect(processState({ ...ownIdentity(), table: '0123456789abcdef' })).toBe('unknown');
  });

  it('sees a process that has ended as dead', async () => {
    const child = spawn('sleep', ['60']);
    const startTime = run('cat', `/proc/${child.pid!}/stat`).split(') ')[1]!.split(' ')[19]!;
    const identity = { pid: child.pid!, startTime, table: ownIdentity().table };
    expect(processState(identity)).toBe('alive');
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(processState(identity)).toBe('dead');
  });
});
