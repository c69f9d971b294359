import type { Duplex } from 'node:stream';
import { SocketInput } from './socket-input.js';
import { SocketOutput } from './socket-output.js';

/** Both directions of a connection. */
export interface Wire {
  readonly socket: Duplex;
  readonly input: SocketInput;
  readonly output: SocketOutput;
}

/** Starts to read from and write to a socket. Its errors show as the end of input and as replies that nobody gets. */
export function openWire(socket: Duplex): Wire {
  socket.on('error', () => undefined);
  return { socket, input: new SocketInput(socket), output: new SocketOutput(socket) };
}

/** Time for the other side to close its end, so that it can read what was sent last. */
const LINGER_MS = 2000;

/**
 * Ends a connection: what was sent still leaves, what is received is dropped. Resolves when the socket is closed, by force when the
 * client does not take the rest within `drainMs`, or does not close its side soon after.
 */
export async function closeWire(wire: Wire, drainMs: number): Promise<void> {
  const { socket } = wire;
  if (socket.destroyed) return;
  wire.input.detach();
  await new Promise<void>((resolve) => {
    let timer = setTimeout(() => socket.destroy(), drainMs);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.resume();
    socket.end(() => {
      clearTimeout(timer);
      timer = setTimeout(() => socket.destroy(), LINGER_MS);
    });
  });
}
