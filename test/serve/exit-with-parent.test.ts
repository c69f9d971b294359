import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const CHILD = join(import.meta.dirname, '..', 'helpers', 'parent-child.ts');

/** A shell that starts the child, tells its number, and stays until it is killed; the text both print. */
function startFamily(argument: string) {
  const command = `"$0" --import tsx "$1" ${argument} & echo "child $!"; wait; exec sleep 60`;
  const parent = spawn('/bin/sh', ['-c', command, process.execPath, CHILD], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const state = { text: '' };
  parent.stdout.on('data', (data: Buffer) => (state.text += data.toString()));
  // The pipe closes when the child, which inherited it, has ended too.
  const ended = new Promise<void>((done) => parent.stdout.once('close', () => done()));
  return { parent, state, ended };
}

describe('watchParent', () => {
  it('tells when the parent is killed, once', async () => {
    const { parent, state, ended } = startFamily('$$');
    await expect.poll(() => state.text, { timeout: 20_000 }).toContain('watching');
    parent.kill('SIGKILL');
    await ended;
    expect(state.text.match(/gone/g)).toHaveLength(1);
  });

  it('notices a parent that had gone before', async () => {
    const { parent, state } = startFamily('999999999');
    await expect.poll(() => state.text, { timeout: 20_000 }).toContain('gone');
    parent.kill('SIGKILL');
    expect(state.text.indexOf('watching')).toBeLessThan(state.text.indexOf('gone'));
  });

  it('stays quiet while the parent lives, whatever signals come', async () => {
    const { parent, state, ended } = startFamily('$$');
    await expect.poll(() => state.text, { timeout: 20_000 }).toContain('watching');
    const child = Number(/child (\d+)/.exec(state.text)?.[1]);
    process.kill(child, 'SIGUSR2');
    await new Promise((done) => setTimeout(done, 100));
    expect(state.text).not.toContain('gone');
    process.kill(child, 0);
    parent.kill('SIGKILL');
    await ended;
  });
});
