import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';

/** A client that is about to be let in, and what is known of it. */
export interface TlsAttempt {
  /** Its address, or `a client` where it has none. */
  readonly peer: string;
  /** Whether it needs a pre-shared key. */
  readonly keyed: boolean;
  /** With such a key the user that it says it is, and whether there is a key for that user. */
  user?: { readonly name: string; readonly known: boolean };
}

/** The attempt of whoever is at the other end of `socket`, which must still be open. */
export function newAttempt(socket: Duplex, { keyed }: { readonly keyed: boolean }): TlsAttempt {
  const address = socket instanceof Socket ? socket.remoteAddress : undefined;
  return { peer: address ?? 'a client', keyed };
}

/**
 * The handshake of `attempt` that ended with `error`: a TSB_TLS whose message says why in words for people. OpenSSL's own are in
 * `details.openssl`.
 */
export function handshakeFailure(attempt: TlsAttempt, error: unknown): TsbuilderError {
  const code = errnoOf(error);
  const reason = (code !== undefined && reasonOf(code, attempt)) || `it failed (${code ?? messageOf(error)})`;
  return failure(attempt, { reason, openssl: messageOf(error), cause: error });
}

/** The client's certificate, asked for in the handshake that has ended, is not a good one: a TSB_TLS that says why. */
export function certificateRefusal(attempt: TlsAttempt, secure: TLSSocket): TsbuilderError {
  // By Node's types an Error, and in fact often the name of OpenSSL's verdict. It says nothing of a certificate that is missing.
  const verdict = messageOf(secure.authorizationError);
  const isMissing = Object.keys(secure.getPeerCertificate()).length === 0;
  const why = isMissing ? 'there is none' : (VERDICTS[verdict] ?? verdict);
  return failure(attempt, {
    reason: `the client's certificate is not accepted: ${why}`,
    openssl: isMissing ? undefined : verdict,
  });
}

function failure(
  { peer }: TlsAttempt,
  { reason, openssl, cause }: { reason: string; openssl: string | undefined; cause?: unknown },
): TsbuilderError {
  return new TsbuilderError('TSB_TLS', `TLS handshake with ${peer}: ${reason}`, {
    details: { peer, openssl },
    cause,
  });
}

const NOT_TLS = 'what the client sends is not TLS';
const LEFT = 'the client left before it was complete';
const REFUSED = 'the client does not accept the certificate of the server';
const NO_COMMON_CIPHER = 'client and server have no cipher in common';

/** By the codes that Node makes of OpenSSL's reasons, and its own. */
const REASONS: Readonly<Record<string, string>> = {
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'the client speaks neither TLS 1.2 nor 1.3',
  ERR_SSL_WRONG_VERSION_NUMBER: NOT_TLS,
  ERR_SSL_HTTP_REQUEST: NOT_TLS,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'the client does not trust the CA of the server',
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: REFUSED,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: `${REFUSED}: it has expired`,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: REFUSED,
  ERR_SSL_NO_SHARED_CIPHER: NO_COMMON_CIPHER,
  ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM: 'client and server have no signature algorithm in common',
  ERR_TLS_HANDSHAKE_TIMEOUT: 'the client took too long',
  ECONNRESET: LEFT,
  EPIPE: LEFT,
};

const VERDICTS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  CERT_REVOKED: 'it is revoked',
  CRL_HAS_EXPIRED: 'ca-crl.pem has expired',
  INVALID_PURPOSE: 'it is not made for clients',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is signed by itself, not by the CA',
  SELF_SIGNED_CERT_IN_CHAIN: 'it is of another CA',
  UNABLE_TO_GET_ISSUER_CERT: 'it is of another CA',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'it is of another CA',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'it is of another CA',
};

/** Where OpenSSL ends up when the key that was agreed on does not work out: in TLS 1.3, and in 1.2. */
const WRONG_KEY = ['ERR_SSL_BINDER_DOES_NOT_VERIFY', 'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC'];
/** Where it ends up without a key: it goes on to look for a certificate, which there is none of. */
const NO_KEY = ['ERR_SSL_PSK_IDENTITY_NOT_FOUND', 'ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM'];

/** A user name in a message is no longer than this. */
const MAX_NAME = 64;

function reasonOf(code: string, { keyed, user }: TlsAttempt): string | undefined {
  const name = user && JSON.stringify(user.name.slice(0, MAX_NAME));
  if (user?.known && WRONG_KEY.includes(code))
    return `the client's key is not the server's key of user ${name}`;
  if (user?.known === false && NO_KEY.includes(code)) return `the server has no key of user ${name}`;
  if (keyed && !user && [...NO_KEY, 'ERR_SSL_NO_SHARED_CIPHER'].includes(code))
    return 'the client has no key';
  return REASONS[code];
}
