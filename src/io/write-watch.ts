import { type Socket, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { TsbuilderError } from '../errors.js';
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
  const path = join(options.folder, 'watch');
  const failure = new AbortController();
  const server = createServer((socket) => {
    look(socket, (reason) => failure.abort(writeFailed(options.image, reason)));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return {
    commands: [
      ['config', '-chardev', `socket,id=${NAME},path=${path}`],
      ['config', '-mon', `chardev=${NAME},mode=control`],
    ],
    signal: options.signal ? AbortSignal.any([options.signal, failure.signal]) : failure.signal,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** Why a write failed, and whether for want of space. */
interface Reason {
  readonly nospace: boolean;
  readonly reason: string;
}

function look(socket: Socket, onFailure: (reason: Reason) => void): void {
  const lines = createInterface({ input: socket });
  // It ends with the machine, however that ends.
  for (const end of [socket, lines]) end.on('error', () => undefined);
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
