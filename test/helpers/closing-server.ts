import { type Socket, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

/** A server that speaks HTTP/1.0: it answers every request with `body` and then closes the connection. */
export interface ClosingServer extends AsyncDisposable {
  readonly url: string;
}

/**
 * Starts one, as `python3 -m http.server` is: without ranges, one connection per request. `how` the connection ends: by a
 * regular close, or by a reset as soon as everything is sent.
 */
export async function startClosingServer(
  body: Uint8Array,
  how: 'close' | 'reset' = 'close',
): Promise<ClosingServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
    socket.once('data', () => {
      socket.write(`HTTP/1.0 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
      if (how === 'close') socket.end(body);
      else socket.write(body, () => socket.resetAndDestroy());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
