import { once } from 'node:events';
import { newCounters } from '../../src/io/counters.js';
import type { DiskSource, WritableDisk } from '../../src/io/disk-source.js';
import { type NbdServerOptions, serveNbdConnection } from '../../src/nbd/nbd-server.js';
import { connectedPair } from '../helpers/nbd-client.js';
import { Dice, type Script, makeScript } from './fuzz-messages.js';

const SIZE = 1024 * 1024 + 511;
const STRIPE = 64 * 1024;
const REQUESTS = 400;

/** Ends the run where a connection hangs. */
const HANG_MS = 20_000;

/** What a run came to. */
export interface FuzzResult {
  readonly messages: number;
  readonly connections: number;
  /** Requests the server answered, and those among them with an error. */
  readonly requests: number;
  readonly errors: number;
  /** Most bytes of memory, outside of the JavaScript heap and inside, that were in use between two connections. */
  readonly mostBytes: number;
}

/**
 * Sends at least `messages` random and damaged messages to servers, over as many connections as that takes.
 *
 * @throws Error, with the seed of the connection, when one hangs, rejects or leaves a request without an answer
 */
export async function fuzz(options: { messages: number; seed: number }): Promise<FuzzResult> {
  const counters = newCounters();
  const disk = stripedDisk();
  const server: NbdServerOptions = {
    exports: [
      { name: 'disk', disk, fastZero: true },
      { name: 'other', disk: withoutWrites(disk) },
    ],
    defaultExport: 'disk',
    log: () => undefined,
    counters,
    limits: { drainMs: 100 },
  };
  let messages = 0;
  let connections = 0;
  let mostBytes = 0;
  while (messages < options.messages) {
    const seed = (options.seed + connections) >>> 0;
    const script = makeScript(new Dice(seed), SIZE, REQUESTS);
    await play(server, script, seed);
    messages += script.messages;
    connections += 1;
    if (connections % 50 === 0) mostBytes = Math.max(mostBytes, bytesInUse());
  }
  return { messages, connections, requests: counters.requests, errors: counters.errors, mostBytes };
}

async function play(server: NbdServerOptions, script: Script, seed: number): Promise<void> {
  const [near, far] = connectedPair();
  near.on('error', () => undefined);
  const replies: Buffer[] = [];
  near.on('data', (data: Buffer) => {
    if (script.answers !== undefined) replies.push(data);
  });
  const served = serveNbdConnection(far, server, new AbortController().signal);
  let timer: NodeJS.Timeout | undefined;
  const hang = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`connection with seed ${seed} hangs`)), HANG_MS);
  });
  try {
    const sending = sendAll(near, script.frames).then(() => near.end());
    await Promise.race([Promise.all([sending, served]), hang]);
  } catch (error) {
    throw new Error(`connection with seed ${seed} failed`, { cause: error });
  } finally {
    clearTimeout(timer);
    near.destroy();
  }
  if (script.answers === undefined) return;
  const answered = countAnswers(Buffer.concat(replies));
  if (answered !== script.answers)
    throw new Error(`connection with seed ${seed}: ${answered} answers to ${script.answers} requests`);
}

/** Sends some frames at a time, so that they arrive cut anywhere. */
async function sendAll(to: ReturnType<typeof connectedPair>[0], frames: readonly Buffer[]): Promise<void> {
  const all = Buffer.concat(frames);
  for (let at = 0; at < all.length; at += 30_011) {
    if (to.destroyed || to.readableEnded) return;
    if (!to.write(all.subarray(at, at + 30_011))) {
      const gone = new AbortController();
      const ends = ['drain', 'close', 'end'].map((event) => once(to, event, { signal: gone.signal }));
      await Promise.race(ends).finally(() => {
        for (const end of ends) end.catch(() => undefined);
        gone.abort();
      });
    }
  }
}

/** Complete replies behind the handshake, in a connection with structured replies. */
function countAnswers(received: Buffer): number {
  let at = 18;
  // Replies to options; the last one is the acknowledgement of GO.
  for (let go = false; !go;) {
    go = received.readUInt32BE(at + 8) === 7 && received.readUInt32BE(at + 12) === 1;
    at += 20 + received.readUInt32BE(at + 16);
  }
  let answers = 0;
  while (at < received.length) {
    const magic = received.readUInt32BE(at);
    if (magic === 0x67446698) {
      answers += 1;
      at += 16;
    } else if (magic === 0x668e33ef) {
      answers += received.readUInt16BE(at + 4) & 1;
      at += 20 + received.readUInt32BE(at + 16);
    } else {
      throw new Error(`no reply at ${at}: 0x${magic.toString(16)}`);
    }
  }
  return answers;
}

function bytesInUse(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Every second stripe is a hole, one of 16 cannot be read. */
function stripedDisk(): WritableDisk {
  const content = Buffer.alloc(SIZE, 0x11);
  const stripe = (offset: number): number => Math.floor(offset / STRIPE);
  return {
    name: 'striped',
    size: SIZE,
    read(offset, length) {
      const bad = stripe(offset) <= 12 && stripe(offset + length - 1) >= 12;
      return bad
        ? Promise.reject(new Error('bad stripe'))
        : Promise.resolve(content.subarray(offset, offset + length));
    },
    extents(offset, length) {
      const end = Math.min(offset + length, (stripe(offset) + 1) * STRIPE);
      return Promise.resolve([{ offset, length: end - offset, kind: stripe(offset) % 2 ? 'hole' : 'data' }]);
    },
    prefetch: () => Promise.resolve(),
    write: () => Promise.resolve(),
    zero: () => Promise.resolve(),
    flush: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function withoutWrites(disk: DiskSource): DiskSource {
  return {
    name: disk.name,
    size: disk.size,
    read: (offset, length) => disk.read(offset, length),
    extents: (offset, length) => disk.extents(offset, length),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
