import { once } from 'node:events';
import { type Socket, createServer } from 'node:net';
import { join } from 'node:path';
import { type Counters, newCounters } from '../../src/io/counters.js';
import { type NbdExport, type NbdServerOptions, serveNbdConnection } from '../../src/nbd/nbd-server.js';
import { scratchFolder } from './scratch-folder.js';

/** An NBD server on a unix socket, for one test. */
export interface TestServer extends AsyncDisposable {
  readonly path: string;
  /** The URI of the export `name`. */
  uri(name?: string): string;
  readonly counters: Counters;
  readonly lines: string[];
  /** Resolves when every connection there was has been served to its end. */
  settled(): Promise<void>;
  /** Makes the server stop, as a signal would. */
  stop(): void;
}

/** Serves `exports`; the first one is the default. */
export async function startNbdServer(
  exports: readonly NbdExport[],
  extra: Partial<NbdServerOptions> = {},
): Promise<TestServer> {
  const folder = await scratchFolder();
  const path = join(folder.path, 'nbd.sock');
  const lines: string[] = [];
  const counters = newCounters();
  const stopper = new AbortController();
  const options: NbdServerOptions = {
    exports,
    defaultExport: exports[0]?.name ?? '',
    log: (line) => lines.push(line),
    counters,
    ...extra,
  };
  const served = new Set<Promise<void>>();
  const server = createServer((socket: Socket) => {
    const task = serveNbdConnection(socket, options, stopper.signal).finally(() => served.delete(task));
    served.add(task);
  });
  server.listen(path);
  await once(server, 'listening');
  const settled = async (): Promise<void> => {
    await Promise.all(served);
  };
  return {
    path,
    uri: (name = '') => `nbd+unix:///${encodeURIComponent(name)}?socket=${path}`,
    counters,
    lines,
    settled,
    stop: () => stopper.abort(),
    async [Symbol.asyncDispose]() {
      stopper.abort();
      server.close();
      await settled();
      await folder[Symbol.asyncDispose]();
    },
  };
}
