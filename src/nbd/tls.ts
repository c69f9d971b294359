import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { type TLSSocket, type TlsOptions, createSecureContext, createServer } from 'node:tls';
import { TsbuilderError, messageOf } from '../errors.js';
import type { Progress } from '../progress.js';
import type { NbdTls } from './nbd-options.js';
import { newServerLog } from './server-log.js';
import { SERVER_KEY, readTlsFiles } from './tls-files.js';
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
 * @throws TSB_TLS when a file is missing, unreadable or damaged, or the key is not that of the certificate
 */
export async function openNbdTls(
  credentials: TlsCredentials,
  { mode, progress }: { readonly mode: 'allow' | 'require'; readonly progress: Progress },
): Promise<OpenedTls> {
  const keys = credentials.kind === 'psk' ? await readPskFile(credentials.path) : undefined;
  const options: TlsOptions = {
    ...(credentials.kind === 'psk' ? PSK_OPTIONS : await readCertificates(credentials, progress)),
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

async function readCertificates(
  { folder, verifyPeer }: { readonly folder: string; readonly verifyPeer: boolean },
  progress: Progress,
): Promise<TlsOptions> {
  const files = await readTlsFiles(folder, (line) => progress.warn(line));
  // A certificate that is asked for and not good is judged in `upgrade`, where the reason can be told.
  return { ...files, requestCert: verifyPeer, rejectUnauthorized: false };
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
