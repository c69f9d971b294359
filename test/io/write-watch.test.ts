import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { watchWrites } from '../../src/io/write-watch.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

const event = (operation: string, nospace: boolean): string =>
  JSON.stringify({
    timestamp: { seconds: 1, microseconds: 2 },
    event: 'BLOCK_IO_ERROR',
    data: { device: 'hd0', operation, action: 'stop', nospace, reason: 'as the system says' },
  });

/** What is said of `events` by a watch whose machine tells them. */
async function reasonOf(events: readonly string[], signal?: AbortSignal): Promise<unknown> {
  await using folder = await scratchFolder();
  await using watch = await watchWrites({ folder: folder.path, image: '/disk.img', signal });
  const path = /path=(.*)$/.exec(watch.commands[0]?.[2] ?? '')?.[1] ?? '';
  const machine = connect(path);
  const [asked] = (await once(machine, 'data')) as [Buffer];
  expect(JSON.parse(asked.toString())).toEqual({ execute: 'qmp_capabilities' });
  const greeting = JSON.stringify({ QMP: { version: {}, capabilities: [] } });
  machine.end([greeting, '{"return": {}}', ...events, ''].join('\r\n'));
  await once(machine, 'close');
  return watch.signal.aborted ? watch.signal.reason : undefined;
}

describe('a watch of writes', () => {
  it('survives a machine that is killed', async () => {
    await using folder = await scratchFolder();
    await using watch = await watchWrites({ folder: folder.path, image: '/disk.img' });
    const path = /path=(.*)$/.exec(watch.commands[0]?.[2] ?? '')?.[1] ?? '';
    // Python closes the socket with what was sent to it unread: the other end is reset.
    const program =
      'import socket,sys,select;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);select.select([s],[],[])';
    await once(spawn('python3', ['-c', program, path]), 'close');
    await setTimeout(50);
    expect(watch.signal.aborted).toBe(false);
  });

  it('tells of a full filesystem, and of other failures', async () => {
    expect(await reasonOf([event('write', true)])).toMatchObject({
      code: 'TSB_NO_SPACE',
      message: '/disk.img: no space left on its filesystem',
    });
    expect(await reasonOf([event('write', false)])).toMatchObject({
      code: 'TSB_IO',
      message: '/disk.img: cannot be written: as the system says',
    });
  });

  it('says nothing of what is no failed write', async () => {
    const resumed = JSON.stringify({ event: 'RESUME' });
    expect(await reasonOf([event('read', false), resumed, '"BLOCK_IO_ERROR"'])).toBeUndefined();
  });

  it('ends with the signal that it was given', async () => {
    const own = AbortSignal.abort(new Error('enough'));
    expect(await reasonOf([], own)).toBe(own.reason);
  });
});
