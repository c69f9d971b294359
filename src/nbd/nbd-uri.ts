import { isIPv6 } from 'node:net';

/** An address at which a server listens. */
export type NbdEndpoint =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly wildcard: boolean }
  | { readonly kind: 'unix'; readonly path: string };

/** How a client must speak TLS. Paths are absolute. */
export interface NbdUriTls {
  readonly certificates?: string | undefined;
  readonly pskFile?: string | undefined;
  readonly user?: string | undefined;
}

/**
 * The URI of an export, as the NBD project's `doc/uri.md` defines it, with the `tls-` parameters of libnbd when `tls` is given. The
 * export named '' is the server's default one.
 */
export function formatNbdUri(endpoint: NbdEndpoint, exportName: string, tls?: NbdUriTls): string {
  const scheme = `nbd${tls ? 's' : ''}${endpoint.kind === 'unix' ? '+unix' : ''}`;
  const user = tls?.user === undefined ? '' : `${encodeURIComponent(tls.user)}@`;
  const authority = endpoint.kind === 'unix' ? '' : `${authorityHost(endpoint)}:${endpoint.port}`;
  const query = [
    ...(endpoint.kind === 'unix' ? [['socket', endpoint.path]] : []),
    ...(tls?.certificates === undefined ? [] : [['tls-certificates', tls.certificates]]),
    ...(tls?.pskFile === undefined ? [] : [['tls-psk-file', tls.pskFile]]),
  ].map(([key = '', value = '']) => `${key}=${encodePath(value)}`);
  const uri = `${scheme}://${user}${authority}/${encodeURIComponent(exportName)}`;
  return query.length === 0 ? uri : `${uri}?${query.join('&')}`;
}

/** The same place in QEMU's older notation, which knows no TLS: `nbd:unix:/path:exportname=x`, `nbd:127.0.0.1:10809`. */
export function formatQemuNbd(endpoint: NbdEndpoint, exportName: string): string {
  const place =
    endpoint.kind === 'unix' ? `unix:${endpoint.path}` : `${clientHost(endpoint)}:${endpoint.port}`;
  return `nbd:${place}${exportName === '' ? '' : `:exportname=${exportName}`}`;
}

/** What a client on this machine connects to. */
function clientHost(endpoint: { readonly host: string; readonly wildcard: boolean }): string {
  if (endpoint.wildcard) return 'localhost';
  return isIPv6(endpoint.host) ? `[${endpoint.host}]` : endpoint.host;
}

function authorityHost(endpoint: { readonly host: string; readonly wildcard: boolean }): string {
  return clientHost(endpoint).replace('%', '%25');
}

/** Slashes are allowed in a query, and paths are read by people. */
function encodePath(path: string): string {
  return encodeURIComponent(path).replaceAll('%2F', '/');
}
