import { constants } from 'node:os';
import { EXIT, TsbuilderError } from '../errors.js';
import { newCounters } from '../io/counters.js';
import { type NbdListener, openNbdListener } from '../nbd/listen.js';
import { serveNbdConnection } from '../nbd/nbd-server.js';
import { openNbdTls } from '../nbd/tls.js';
import { type RunningServer, commandVariables, describeServer } from './describe-server.js';
import { newEnding } from './ending.js';
import { watchParent } from './exit-with-parent.js';
import { startMetrics } from './metrics.js';
import { openExports } from './open-exports.js';
import { openPidfile } from './pidfile.js';
import { runUserCommand } from './run-command.js';
import type { ServeRequest, ServeResult } from './serve-request.js';
import type { ServerState } from './stats.js';

/**
 * Serves disks until a signal, the end of the command, the parent or the last client. All disks are open before the first client can
 * connect. Then it drains: nothing new is accepted, requests in flight are answered, and sockets, pidfile and temporary files are removed.
 *
 * @throws what opening the disks throws; TSB_TLS, TSB_LISTEN, and those of `openPidfile`; the abort reason when `signal` is aborted before
 *   it is ready
 */
export async function runServe(request: ServeRequest): Promise<ServeResult> {
  const ending = newEnding(request.signal);
  using _ =
    request.parent === undefined ? undefined : watchParent(request.parent, () => ending.end('parent'));
  const counters = newCounters();
  const begin = performance.now();
  await using pidfile = request.pidfile === undefined ? undefined : await openPidfile(request.pidfile);
  const tls =
    request.tls &&
    (await openNbdTls(request.tls.credentials, { mode: request.tls.mode, progress: request.progress }));
  await using disks = await openExports(request, counters, ending);
  const { exports } = disks;
  const state = (): ServerState => ({ counters, sources: exports, uptimeMs: performance.now() - begin });
  const { defaultExport } = request.plan;
  const options = {
    exports,
    defaultExport,
    tls,
    counters,
    log: (line: string) => request.progress.warn(line),
  };
  ending.ready();
  await using listener = await openNbdListener(request.address, {
    serve: (socket, signal) => serveNbdConnection(socket, options, signal),
    onIdle: request.exitLast ? () => ending.end('last client') : undefined,
  });
  await using metrics = request.metrics && (await startMetrics(request.metrics, state));
  await pidfile?.write();
  warnIfExposed(listener, request);
  const server = { endpoints: listener.endpoints, tls };
  request.onReady(describeServer(request, { ...server, exports, metrics: metrics?.url }));
  const status = await waitForEnd(request, { ...server, state }, ending.signal);
  return { status, endedBy: ending.cause() ?? 'command', state: state() };
}

async function waitForEnd(
  request: ServeRequest,
  server: RunningServer & { readonly state: () => ServerState },
  ended: AbortSignal,
): Promise<number> {
  using _ = onSignal('SIGUSR1', () => request.onStatsWanted(server.state()));
  if (request.run) {
    const variables = commandVariables(request, server);
    const status = await runUserCommand(request.run.command, { ...request.run, variables, signal: ended });
    return statusFor(status, request.signal);
  }
  await new Promise<void>((done) => {
    if (ended.aborted) done();
    ended.addEventListener('abort', () => done(), { once: true });
  });
  return 0;
}

/** The command is always ended by SIGTERM; where that was for a Ctrl-C, its caller expects the status of a Ctrl-C. */
function statusFor(status: number, { reason }: AbortSignal): number {
  const byUser = reason instanceof TsbuilderError && reason.details['signal'] === 'SIGINT';
  return byUser && status === 128 + constants.signals.SIGTERM ? EXIT.interrupted : status;
}

function warnIfExposed(listener: NbdListener, request: ServeRequest): void {
  if (!listener.exposed || request.tls?.mode === 'require') return;
  const why = request.tls ? 'lets clients leave TLS out' : 'speaks no TLS';
  request.progress.warn(
    `other machines can reach this server, which ${why}: anybody there can read what it serves`,
  );
}

function onSignal(name: NodeJS.Signals, action: () => void): Disposable {
  process.on(name, action);
  return { [Symbol.dispose]: () => void process.off(name, action) };
}
