import { type Socket, createServer } from 'node:net';

/** A socket of this process that QEMU connects a character device to. Disposing it lets no more connections in. */
export interface ChardevSocket extends AsyncDisposable {
  /** guestfish's command, before `run`, that makes the device. */
  readonly command: readonly [string, ...string[]];
}

/**
 * Opens a socket for a character device with the name `id`, on which QEMU's other options can build.
 *
 * @param options.path of the socket, in a folder that is this user's own
 * @throws the system's error when it cannot be opened
 */
export async function openChardevSocket(options: {
  readonly path: string;
  readonly id: string;
  readonly onConnection: (socket: Socket) => void;
}): Promise<ChardevSocket> {
  const { path, id, onConnection } = options;
  const server = createServer((socket) => {
    // It ends with the machine, however that ends.
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return {
    command: ['config', '-chardev', `socket,id=${id},path=${path}`],
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
