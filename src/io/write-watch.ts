import type { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { TsbuilderError } from '../errors.js';
import { openChardevSocket } from './chardev-socket.js';
import { writeError } from './free-space.js';

const NAME = 'tsbuilder-watch';

/** A look at whether QEMU can write to its images. When their filesystem is full it stops the machine, and would wait without end. */
export interface WriteWatch extends AsyncDisposable {
  /** guestfish's commands, before `run`, that let it look. */
  readonly commands: readonly (readonly [string, ...string[]])[];
  /** Aborted by the signal that was given, or with TSB_NO_SPACE or TSB_IO as its reason when a write has failed. */
  readonly signal: AbortSignal;
}

/**
 * Looks for failed writes of the machines that libguestfs starts with `commands`, by QEMU's monitor protocol (docs/interop/qmp-spec).
 *
 * @param options.folder where its socket goes: a {@link GuestfishFolder}
 * @param options.image what is written to, for messages
 */
export async function watchWrites(options: {
  readonly folder: string;
  readonly image: string;
  readonly signal?: AbortSignal | undefined;
}): Promise<WriteWatch> {
  const failure = new AbortController();
  const socket = await openChardevSocket({
    ...{ path: join(options.folder, 'watch'), id: NAME },
    onConnection: (monitor) => look(monitor, (reason) => failure.abort(writeFailed(options.image, reason))),
  });
  return {
    ...socket,
    commands: [socket.command, ['config', '-mon', `chardev=${NAME},mode=control`]],
    signal: options.signal ? AbortSignal.any([options.signal, failure.signal]) : failure.signal,
  };
}

/** Why a write failed, and whether for want of space. */
interface Reason {
  readonly nospace: boolean;
  readonly reason: string;
}

function look(socket: Socket, onFailure: (reason: Reason) => void): void {
  const lines = createInterface({ input: socket });
  // A broken connection is an error of both.
  lines.on('error', () => undefined);
  lines.on('line', (line) => {
    const reason = failedWrite(line);
    if (reason) onFailure(reason);
  });
  socket.write('{"execute":"qmp_capabilities"}\n');
}

/** What a line of the monitor says of a write that failed. */
function failedWrite(line: string): Reason | undefined {
  if (!line.includes('BLOCK_IO_ERROR')) return undefined;
  const { event, data } = JSON.parse(line) as { event?: string; data?: Reason & { operation: string } };
  return event === 'BLOCK_IO_ERROR' && data?.operation === 'write' ? data : undefined;
}

function writeFailed(image: string, { nospace, reason }: Reason): unknown {
  if (nospace) return writeError(image, Object.assign(new Error(reason), { code: 'ENOSPC' }));
  return new TsbuilderError('TSB_IO', `${image}: cannot be written: ${reason}`);
}
