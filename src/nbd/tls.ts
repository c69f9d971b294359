import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { type TLSSocket, type TlsOptions, createSecureContext, createServer } from 'node:tls';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import type { Progress } from '../progress.js';
import type { NbdTls } from './nbd-options.js';
import { newServerLog } from './server-log.js';
import { type TlsAttempt, certificateRefusal, handshakeFailure, newAttempt } from './tls-failure.js';
import { type PskKeys, readPskFile } from './tls-psk.js';

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
 * Reads the credentials and checks that they fit together. Warns of keys that others than their owner can get at. What OpenSSL says of a
 * handshake that fails is a detail.
 *
 * @throws TSB_TLS when a file is missing, unreadable, or the key is not that of the certificate
 */
export async function openNbdTls(
  credentials: TlsCredentials,
  { mode, progress }: { readonly mode: 'allow' | 'require'; readonly progress: Progress },
): Promise<OpenedTls> {
  const keys = credentials.kind === 'psk' ? await readPskFile(credentials.path) : undefined;
  const options: TlsOptions = {
    ...(credentials.kind === 'psk' ? PSK_OPTIONS : await readCertificates(credentials)),
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
  await warnIfShared(credentials.kind === 'psk' ? source : join(source, SERVER_KEY), progress);
  const detail = newServerLog((line) => progress.detail(line));
  return {
    mode,
    users: [...(keys?.keys() ?? [])],
    async upgrade(socket) {
      try {
        return await upgrade(socket, { options, keys });
      } catch (error) {
        const words = error instanceof TsbuilderError ? error.details['openssl'] : undefined;
        if (words !== undefined) detail(`${messageOf(error)} (OpenSSL: ${String(words)})`);
        throw error;
      }
    },
  };
}

const SERVER_KEY = 'server-key.pem';

/** Whoever has the key can pass for the server, or for its client. */
async function warnIfShared(path: string, progress: Progress): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & 0o077) === 0) return;
  const shown = (mode & 0o777).toString(8).padStart(3, '0');
  progress.warn(
    `${path}: others than its owner can get at this secret key (mode ${shown}): chmod 600 '${path}'`,
  );
}

const PSK_OPTIONS: TlsOptions = { ciphers: PSK_CIPHERS, honorCipherOrder: true, dhparam: 'auto' };

async function readCertificates(credentials: {
  readonly folder: string;
  readonly verifyPeer: boolean;
}): Promise<TlsOptions> {
  const { folder, verifyPeer } = credentials;
  const [ca, cert, key, crl] = await Promise.all([
    readPem(folder, 'ca-cert.pem'),
    readPem(folder, 'server-cert.pem'),
    readPem(folder, SERVER_KEY),
    readPem(folder, 'ca-crl.pem').catch(ignoreMissing),
  ]);
  // A certificate that is asked for and not good is judged in `upgrade`, where the reason can be told.
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

interface TlsSettings {
  readonly options: TlsOptions;
  readonly keys: PskKeys | undefined;
}

/** One TLS server for one connection: Node gives no other way to learn which connection a failed handshake was of. */
function upgrade(socket: Duplex, { options, keys }: TlsSettings): Promise<Duplex> {
  const attempt = newAttempt(socket, { keyed: keys !== undefined });
  return new Promise((resolve, reject) => {
    const server = createServer({ ...options, ...(keys && { pskCallback: chooseKey(keys, attempt) }) });
    const fail = (error: TsbuilderError, secure?: TLSSocket): void => {
      secure?.destroy();
      socket.destroy();
      reject(error);
    };
    server.once('tlsClientError', (error) => fail(handshakeFailure(attempt, error)));
    server.once('secureConnection', (secure) => {
      // From here on the stream is its reader's; until that listens, an error must not be nobody's.
      secure.on('error', () => undefined);
      if (options.requestCert && !secure.authorized) fail(certificateRefusal(attempt, secure), secure);
      else resolve(secure);
    });
    server.emit('connection', socket);
  });
}

function chooseKey(keys: PskKeys, attempt: TlsAttempt): NonNullable<TlsOptions['pskCallback']> {
  return (_socket, name) => {
    const key = keys.get(name);
    attempt.user = { name, known: key !== undefined };
    return key ?? null;
  };
}
