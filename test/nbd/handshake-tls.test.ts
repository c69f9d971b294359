import { Duplex, Transform } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { NbdTls } from '../../src/nbd/nbd-server.js';
import { memoryDisk, patterned } from '../helpers/nbd-disk.js';
import {
  RawClient,
  connectInMemory,
  infoRequest,
  metaQuery,
  optionFrame,
  requestFrame,
} from '../helpers/nbd-client.js';

const TLS_REQUIRED = 0x80000005;
const POLICY = 0x80000002;
const INVALID = 0x80000003;

const EXPORTS = [{ name: 'disk', disk: memoryDisk(patterned(65536)) }];

/** Stands in for TLS: every byte is turned over. */
const inverter = (): Transform =>
  new Transform({
    transform(data: Buffer, _, done) {
      done(null, Buffer.from(data.map((byte) => byte ^ 0xff)));
    },
  });
function invert(socket: Duplex): Duplex {
  const writable = inverter();
  writable.pipe(socket);
  return Duplex.from({ writable, readable: socket.pipe(inverter()) });
}
const tls = (mode: NbdTls['mode']): NbdTls => ({
  mode,
  upgrade: (socket) => Promise.resolve(invert(socket)),
});

const types = (answers: readonly { type: number }[]): number[] => answers.map(({ type }) => type);

/** The same client on the encrypted connection. */
function encrypted(client: RawClient): RawClient {
  client.socket.removeAllListeners('data');
  return new RawClient(invert(client.socket));
}

describe('a server that requires TLS', () => {
  it('answers nothing else before it', async () => {
    const { client } = connectInMemory({ exports: EXPORTS, tls: tls('require') });
    await client.greet();
    for (const [option, data] of [
      [3, undefined],
      [6, infoRequest('disk')],
      [7, infoRequest('disk')],
      [8, undefined],
      [9, metaQuery('', [])],
      [10, metaQuery('', [])],
      [999, undefined],
    ] as const) {
      expect(types(await client.option(option, data))).toEqual([TLS_REQUIRED]);
    }
    expect(types(await client.option(2))).toEqual([1]);
  });

  it('closes the connection on EXPORT_NAME', async () => {
    const { client, served, lines } = connectInMemory({ exports: EXPORTS, tls: tls('require') });
    await client.greet();
    client.send(optionFrame(1, Buffer.from('disk')));
    expect(await client.rest()).toHaveLength(0);
    await served;
    expect(lines).toEqual(['connection closed: asked for an export without the TLS it requires']);
  });

  it('serves after the upgrade', async () => {
    const { client, lines } = connectInMemory({ exports: EXPORTS, tls: tls('require') });
    await client.greet();
    expect(types(await client.option(5))).toEqual([1]);
    const inside = encrypted(client);
    expect(types(await inside.option(5))).toEqual([INVALID]);
    expect(types(await inside.option(3))).toEqual([2, 1]);
    expect(types(await inside.option(7, infoRequest('disk')))).toEqual([3, 1]);
    inside.send(requestFrame({ type: 0, offset: 8, length: 4 }));
    expect(await inside.simple()).toEqual({ errno: 0, cookie: 1n });
    expect(await inside.take(4)).toEqual(patterned(65536).subarray(8, 12));
    expect(lines).toEqual([]);
  });
});

describe('STARTTLS', () => {
  it('forgets what was agreed on before', async () => {
    const { client } = connectInMemory({ exports: EXPORTS, tls: tls('allow') });
    await client.greet();
    await client.option(8);
    expect(types(await client.option(10, metaQuery('', ['base:allocation'])))).toEqual([4, 1]);
    await client.option(5);
    const inside = encrypted(client);
    expect(types(await inside.option(9, metaQuery('', [])))).toEqual([INVALID]);
    await inside.option(7, infoRequest('disk'));
    inside.send(requestFrame({ type: 7, length: 4096 }));
    expect(await inside.simple()).toEqual({ errno: 22, cookie: 1n });
  });

  it.each([
    ['an option', optionFrame(7, infoRequest('disk'))],
    ['one byte', Buffer.from('I')],
  ])('refuses %s that was smuggled in behind it', async (_, smuggled) => {
    const { client, served, lines } = connectInMemory({ exports: EXPORTS, tls: tls('allow') });
    await client.greet();
    client.send(optionFrame(5), smuggled);
    expect(await client.rest()).toHaveLength(0);
    await served;
    expect(lines).toEqual(['connection closed: unencrypted bytes behind the request for TLS']);
  });

  it('is refused with data, and where there is no TLS', async () => {
    const allowed = connectInMemory({ exports: EXPORTS, tls: tls('allow') });
    await allowed.client.greet();
    expect(types(await allowed.client.option(5, Buffer.from('x')))).toEqual([INVALID]);
    const without = connectInMemory({ exports: EXPORTS });
    await without.client.greet();
    expect(types(await without.client.option(5))).toEqual([POLICY]);
  });

  it('that fails closes the connection with a line in the log', async () => {
    const failing: NbdTls = { mode: 'allow', upgrade: () => Promise.reject(new Error('no common cipher')) };
    const { client, served, lines } = connectInMemory({ exports: EXPORTS, tls: failing });
    await client.greet();
    await client.option(5);
    await served;
    expect(lines).toEqual(['connection failed: no common cipher']);
  });

  it('that never ends is given up with the rest of the handshake', async () => {
    const hanging: NbdTls = {
      mode: 'allow',
      upgrade: (socket) =>
        new Promise((_, reject) => socket.once('close', () => reject(new Error('the client went away')))),
    };
    const { client, served, lines } = connectInMemory({
      exports: EXPORTS,
      tls: hanging,
      limits: { handshakeMs: 50 },
    });
    await client.greet();
    await client.option(5);
    await served;
    expect(lines).toEqual(['connection failed: the client went away']);
  });
});
