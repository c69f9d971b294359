import { join } from 'node:path';
import { openChardevSocket } from '../io/chardev-socket.js';

const NAME = 'tsbuilder';

/** Where the channel is in the appliance, and so in the guest while a program of it runs. */
export const CHANNEL_DEVICE = `/dev/virtio-ports/${NAME}`;

/** A way for text out of a running appliance. libguestfs itself hands over output only when a program has ended. */
export interface ApplianceChannel extends AsyncDisposable {
  /** guestfish's commands, before `run`, that give the appliance its end of the channel. */
  readonly commands: readonly (readonly [string, ...string[]])[];
  /** What comes from now on goes to `listener`, unless it is undefined. */
  listen(listener: ((chunk: Buffer) => void) | undefined): void;
}

/** Opens a channel with a socket in `folder`. It is a serial port (virtserialport) of QEMU's besides libguestfs's own. */
export async function openChannel(folder: string): Promise<ApplianceChannel> {
  let listener: ((chunk: Buffer) => void) | undefined;
  const socket = await openChardevSocket({
    ...{ path: join(folder, 'channel'), id: NAME },
    onConnection: (connection) => connection.on('data', (chunk: Buffer) => listener?.(chunk)),
  });
  return {
    ...socket,
    commands: [socket.command, ['config', '-device', `virtserialport,chardev=${NAME},name=${NAME}`]],
    listen: (next) => (listener = next),
  };
}
