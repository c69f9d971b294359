import { duplexPair } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SocketInput, UnexpectedEnd } from '../../src/nbd/socket-input.js';
import { SocketOutput } from '../../src/nbd/socket-output.js';
import { patterned } from '../helpers/nbd-disk.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('SocketInput', () => {
  it('gives the same bytes however they come and are taken', async () => {
    const pieces = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(pieces, pieces, fc.array(fc.boolean()), async (sent, taken, skips) => {
        const content = patterned(sent.reduce((sum, length) => sum + length, 0));
        const [near, far] = duplexPair();
        const input = new SocketInput(far);
        const writing = (async () => {
          let at = 0;
          for (const length of sent) {
            near.write(content.subarray(at, (at += length)));
            if (length % 2) await turn();
          }
          near.end();
        })();
        let at = 0;
        for (const [index, length] of taken.entries()) {
          if (at + length > content.length) break;
          if (skips[index]) await input.skip(length);
          else expect(await input.read(length)).toEqual(content.subarray(at, at + length));
          at += length;
        }
        await input.skip(content.length - at);
        expect(await input.read(1)).toBeUndefined();
        await writing;
      }),
      { numRuns: 60 },
    );
  });

  it('tells an end between two reads from one in the middle', async () => {
    const [near, far] = duplexPair();
    const input = new SocketInput(far);
    near.end('abcd');
    expect((await input.read(3))?.toString()).toBe('abc');
    await expect(input.read(2)).rejects.toThrow(UnexpectedEnd);
    await expect(input.skip(1)).rejects.toThrow('1 bytes too early');
    expect(await input.read(2)).toBeUndefined();
    expect(await input.read(0)).toHaveLength(0);
  });

  it('stops waiting when told to, and when the socket breaks', async () => {
    const [, far] = duplexPair();
    const input = new SocketInput(far);
    const waiting = input.read(1);
    input.stop();
    expect(await waiting).toBeUndefined();
    const [, other] = duplexPair();
    other.on('error', () => undefined);
    const broken = new SocketInput(other);
    const pending = broken.read(1);
    other.destroy(new Error('reset'));
    expect(await pending).toBeUndefined();
    expect(await new SocketInput(other).read(1)).toBeUndefined();
  });

  it('does not read more than it is asked for', async () => {
    const [near, far] = duplexPair();
    const input = new SocketInput(far);
    let accepted = 0;
    for (let count = 0; count < 100; count++) near.write(Buffer.alloc(16384), () => (accepted += 1));
    expect(await input.read(1)).toHaveLength(1);
    await turn();
    expect(accepted).toBeLessThan(20);
    far.destroy();
  });

  it('tells whether something was left when it goes', async () => {
    const [near, far] = duplexPair();
    const input = new SocketInput(far);
    near.write('abc');
    expect(await input.read(3)).toHaveLength(3);
    expect(input.detach()).toBe(false);
    const again = new SocketInput(far);
    near.write('abc');
    expect(await again.read(2)).toHaveLength(2);
    expect(again.detach()).toBe(true);
  });
});

describe('SocketOutput', () => {
  it('sends the parts of each message together and in order', async () => {
    const [near, far] = duplexPair();
    const output = new SocketOutput(far);
    const received: Buffer[] = [];
    near.on('data', (data: Buffer) => received.push(data));
    await Promise.all([
      output.send(Buffer.from('a'), Buffer.from('b')),
      output.send(Buffer.from('c')),
      output.send(Buffer.from('d'), Buffer.alloc(0)),
    ]);
    await turn();
    expect(Buffer.concat(received).toString()).toBe('abcd');
  });

  it('resolves what will never leave when the socket is closed', async () => {
    const [, far] = duplexPair();
    const output = new SocketOutput(far);
    const stuck = Array.from({ length: 8 }, () => output.send(Buffer.alloc(65536)));
    await turn();
    far.destroy();
    await Promise.all(stuck);
    await output.send(Buffer.from('late'));
    await new SocketOutput(far).send(Buffer.from('late'));
    expect(far.destroyed).toBe(true);
  });
});
