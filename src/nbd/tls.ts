import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { type TLSSocket, type TlsOptions, createSecureContext, createServer } from 'node:tls';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import type { NbdTls } from './nbd-options.js';
import { readPskFile } from './tls-psk.js';

/**
 * What the server proves itself with. `certificates`: a folder with `ca-cert.pem`, `server-cert.pem` and `server-key.pem` (and
 * `ca-crl.pem`, if there is one), the layout of libnbd, nbdkit and QEMU; with `verifyPeer` only clients with a certificate of that
 * CA are let in. `psk`: a file of keys that clients and server share; a client without one of them is not let in.
 */
export type TlsCredentials =
  | { readonly kind: 'certificates'; readonly folder: string; readonly verifyPeer: boolean }
  | { readonly kind: 'psk'; readonly path: string };

/** TLS of one server. */
export interface OpenedTls extends NbdTls {
  /** With pre-shared keys the users who have one. */
  readonly users: readonly string[];
}

const HANDSHAKE_MS = 10_000;

/**
 * Pre-shared keys are bound to SHA-256 in TLS 1.3, so other suites would fail there; for TLS 1.2 only exchanges with forward secrecy.
 * GnuTLS, which libnbd and QEMU use, speaks both.
 */
const PSK_CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-PSK-CHACHA20-POLY1305',
  'DHE-PSK-AES256-GCM-SHA384',
  'DHE-PSK-AES128-GCM-SHA256',
  'DHE-PSK-CHACHA20-POLY1305',
].join(':');

/**
 * Reads the credentials and checks that they fit together.
 *
 * @throws TSB_TLS when a file is missing, unreadable, or the key is not that of the certificate
 */
export async function openNbdTls(credentials: TlsCredentials, mode: 'allow' | 'require'): Promise<OpenedTls> {
  const psk = credentials.kind === 'psk' ? await readPskFile(credentials.path) : undefined;
  const options: TlsOptions = {
    ...(credentials.kind === 'psk' ? pskOptions(psk ?? new Map()) : await readCertificates(credentials)),
    minVersion: 'TLSv1.2',
    handshakeTimeout: HANDSHAKE_MS,
  };
  const source = credentials.kind === 'psk' ? credentials.path : credentials.folder;
  try {
    createSecureContext(options);
  } catch (error) {
    throw new TsbuilderError('TSB_TLS', `${source}: cannot be used for TLS: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return { mode, users: [...(psk?.keys() ?? [])], upgrade: (socket) => upgrade(socket, options) };
}

function pskOptions(keys: ReadonlyMap<string, Buffer>): TlsOptions {
  return {
    ciphers: PSK_CIPHERS,
    honorCipherOrder: true,
    dhparam: 'auto',
    pskCallback: (_socket, user) => keys.get(user) ?? null,
  };
}

async function readCertificates(credentials: {
  readonly folder: string;
  readonly verifyPeer: boolean;
}): Promise<TlsOptions> {
  const { folder, verifyPeer } = credentials;
  const [ca, cert, key, crl] = await Promise.all([
    readPem(folder, 'ca-cert.pem'),
    readPem(folder, 'server-cert.pem'),
    readPem(folder, 'server-key.pem'),
    readPem(folder, 'ca-crl.pem').catch(ignoreMissing),
  ]);
  // A certificate that is asked for and not good is judged in `finish`, where the reason can be told.
  return { ca, cert, key, crl, requestCert: verifyPeer, rejectUnauthorized: false };
}

async function readPem(folder: string, name: string): Promise<Buffer> {
  const path = join(folder, name);
  try {
    return await readFile(path);
  } catch (error) {
    throw new TsbuilderError('TSB_TLS', `${path}: cannot be read: ${messageOf(error)}`, {
      hint: 'The folder needs ca-cert.pem, server-cert.pem and server-key.pem, as libnbd and QEMU have them.',
      details: { path, errno: errnoOf(error) },
      cause: error,
    });
  }
}

function ignoreMissing(error: unknown): undefined {
  if (error instanceof TsbuilderError && error.details['errno'] === 'ENOENT') return undefined;
  throw error;
}

/** One TLS server for one connection: Node gives no other way to learn which connection a failed handshake was of. */
function upgrade(socket: Duplex, options: TlsOptions): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const server = createServer(options);
    const fail = (error: Error, secure?: TLSSocket): void => {
      secure?.destroy();
      socket.destroy();
      reject(new TsbuilderError('TSB_TLS', `TLS handshake: ${messageOf(error)}`, { cause: error }));
    };
    server.once('tlsClientError', fail);
    server.once('secureConnection', (secure) => {
      // From here on the stream is its reader's; until that listens, an error must not be nobody's.
      secure.on('error', () => undefined);
      if (options.requestCert && !secure.authorized) {
        fail(new Error(`the client's certificate is not accepted: ${refusal(secure)}`), secure);
      } else resolve(secure);
    });
    server.emit('connection', socket);
  });
}

/** Why: OpenSSL's verdict, by Node's types an Error and in fact often its name; it says nothing of a certificate that is missing. */
function refusal(secure: TLSSocket): string {
  if (Object.keys(secure.getPeerCertificate()).length === 0) return 'there is none';
  return messageOf(secure.authorizationError);
}
