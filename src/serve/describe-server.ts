import { resolve } from 'node:path';
import { type NbdEndpoint, type NbdUriTls, formatNbdUri, formatQemuNbd } from '../nbd/nbd-uri.js';
import type { OpenedTls } from '../nbd/tls.js';
import type { ServeReady, ServeRequest, ServedExport } from './serve-request.js';

/** Where a server listens and with what TLS. */
export interface RunningServer {
  readonly endpoints: readonly NbdEndpoint[];
  readonly tls: OpenedTls | undefined;
}

/** What is told about a server to which clients can connect. */
export function describeServer(
  request: ServeRequest,
  server: RunningServer & { readonly exports: readonly ServedExport[]; readonly metrics: string | undefined },
): ServeReady {
  const [endpoint] = server.endpoints;
  const tls = clientTls(request, server.tls);
  const uri = (name: string): string | undefined => endpoint && formatNbdUri(endpoint, name, tls);
  return {
    pid: process.pid,
    uri: uri(''),
    tls: request.tls?.mode ?? 'off',
    exports: server.exports.map(({ disk: _disk, ...rest }) => ({ ...rest, uri: uri(rest.name) })),
    metrics: server.metrics,
  };
}

/** What a command finds in its environment: the names that nbdkit gives. */
export function commandVariables(
  request: ServeRequest,
  { endpoints, tls }: RunningServer,
): Record<string, string> {
  const [endpoint] = endpoints;
  const uriTls = clientTls(request, tls);
  return {
    uri: endpoint ? formatNbdUri(endpoint, '', uriTls) : '',
    nbd: endpoint ? formatQemuNbd(endpoint, '') : '',
    unixsocket: endpoint?.kind === 'unix' ? endpoint.path : '',
    port: endpoint?.kind === 'tcp' ? String(endpoint.port) : '',
    exportname: request.plan.defaultExport,
    tls: request.tls?.mode ?? '',
    tls_certificates: uriTls?.certificates ?? '',
    tls_psk: uriTls?.pskFile ?? '',
  };
}

function clientTls(request: ServeRequest, tls: OpenedTls | undefined): NbdUriTls | undefined {
  if (request.tls?.mode !== 'require') return undefined;
  const { credentials } = request.tls;
  return credentials.kind === 'psk'
    ? { pskFile: resolve(credentials.path), user: tls?.users[0] }
    : { certificates: resolve(credentials.folder) };
}
