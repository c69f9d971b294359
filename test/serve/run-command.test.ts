import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runUserCommand } from '../../src/serve/run-command.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

describe('runUserCommand', () => {
  it.each([
    ['exit 7', 7],
    ['true', 0],
    ['kill -TERM $$', 143],
    ['no-such-program-anywhere 2>/dev/null', 127],
  ])('gives the status of %j', async (command, status) => {
    expect(await runUserCommand(command, { variables: {} })).toBe(status);
  });

  it('passes values through the environment, whatever they hold', async () => {
    await using folder = await scratchFolder();
    const uri = `'"; exit 9; $(exit 8) \`exit 7\` é \n end`;
    const out = join(folder.path, 'out');
    const variables = { uri, out, empty: '' };
    expect(await runUserCommand('printf "%s|%s" "$uri" "${empty-unset}" >"$out"', { variables })).toBe(0);
    expect(await readFile(out, 'utf8')).toBe(`${uri}|`);
  });

  it('ends the command and what it started when it is aborted', async () => {
    await using folder = await scratchFolder();
    const out = join(folder.path, 'out');
    const controller = new AbortController();
    const command =
      'sh -c \'trap "echo ended >>\\"$out\\"; exit 5" TERM; echo ready >>"$out"; while :; do sleep 0.05; done\'; exit $?';
    const ended = runUserCommand(command, { variables: { out }, signal: controller.signal });
    await expect.poll(() => readFile(out, 'utf8').catch(() => '')).toBe('ready\n');
    controller.abort();
    expect(await ended).toBe(143);
    await expect.poll(() => readFile(out, 'utf8')).toBe('ready\nended\n');
  });

  it('ends it at once when it was aborted before', async () => {
    expect(await runUserCommand('sleep 60', { variables: {}, signal: AbortSignal.abort() })).toBe(143);
  });
});
