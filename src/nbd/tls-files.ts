import { X509Certificate, createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';

/** A certificate, its key, and the CA of the clients: PEM. */
export interface TlsFiles {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly crl: Buffer | undefined;
}

const CA = 'ca-cert.pem';
const CERTIFICATE = 'server-cert.pem';
/** Name of the file that nobody else may read. */
export const SERVER_KEY = 'server-key.pem';
const REVOKED = 'ca-crl.pem';

const LAYOUT = `The folder needs ${CA}, ${CERTIFICATE} and ${SERVER_KEY}, as libnbd and QEMU have them.`;

/**
 * Reads the credentials in `folder` and checks each of them: OpenSSL's own words do not tell which file they are about, and of the CA's
 * it says nothing at all. Warns of a certificate that no client accepts today.
 *
 * @throws TSB_TLS, which names the file and what is wrong with it
 */
export async function readTlsFiles(folder: string, warn: (line: string) => void): Promise<TlsFiles> {
  const [ca, cert, key, crl] = await Promise.all([
    readPem(join(folder, CA)),
    readPem(join(folder, CERTIFICATE)),
    readPem(join(folder, SERVER_KEY)),
    readPem(join(folder, REVOKED)).catch(ignoreMissing),
  ]);
  certificatesIn(join(folder, CA), ca);
  const certificate = certificatesIn(join(folder, CERTIFICATE), cert);
  checkKey(folder, key, certificate);
  attempt(join(folder, CERTIFICATE), 'cannot be used for TLS', () => createSecureContext({ cert }));
  attempt(join(folder, SERVER_KEY), 'cannot be used for TLS', () => createSecureContext({ cert, key }));
  if (crl)
    attempt(join(folder, REVOKED), 'is no list of revoked certificates', () => createSecureContext({ crl }));
  warnOfDates(join(folder, CERTIFICATE), certificate, warn);
  return { ca, cert, key, crl };
}

async function readPem(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw fault(path, `cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function ignoreMissing(error: unknown): undefined {
  if (error instanceof TsbuilderError && errnoOf(error.cause) === 'ENOENT') return undefined;
  throw error;
}

/** The first certificate of a PEM file, all of which must be good. */
function certificatesIn(path: string, pem: Buffer): X509Certificate {
  const blocks = pem
    .toString('latin1')
    .match(/-----BEGIN (?:X509 )?CERTIFICATE-----[^-]*(?:-----END [^-]*-----)?/g);
  const [first] = (blocks ?? []).map((block, index) =>
    attempt(path, `certificate ${index + 1} in it is damaged`, () => new X509Certificate(block)),
  );
  if (!first) throw fault(path, `holds no certificate: ${describe(pem)}`);
  return first;
}

function checkKey(folder: string, pem: Buffer, certificate: X509Certificate): void {
  const path = join(folder, SERVER_KEY);
  const text = pem.toString('latin1');
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text))
    throw fault(path, `holds no private key: ${describe(pem)}`);
  if (/-----BEGIN ENCRYPTED |^Proc-Type: 4,ENCRYPTED/m.test(text)) {
    throw fault(path, 'the key is encrypted, and nobody is there to be asked for its passphrase', {
      hint: `Take it off: openssl pkey -in '${path}' -out NEW`,
    });
  }
  const key = attempt(path, 'the private key in it is damaged', () => createPrivateKey(pem));
  if (certificate.checkPrivateKey(key)) return;
  throw fault(path, `is not the key of the certificate in ${CERTIFICATE}`);
}

function warnOfDates(
  path: string,
  { validFrom, validTo }: X509Certificate,
  warn: (line: string) => void,
): void {
  const now = Date.now();
  if (Date.parse(validTo) < now) warn(`${path}: expired on ${validTo}: clients will not accept it`);
  if (Date.parse(validFrom) > now)
    warn(`${path}: is not valid before ${validFrom}: clients will not accept it`);
}

/** What a file without the wanted PEM block is. */
function describe(pem: Buffer): string {
  if (pem.length === 0) return 'it is empty';
  const [, label] = /-----BEGIN ([A-Z0-9 ]+)-----/.exec(pem.toString('latin1')) ?? [];
  return label === undefined ? 'it is no PEM text' : `its first part is: ${label}`;
}

function attempt<T>(path: string, problem: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    const reason = (error as { reason?: unknown }).reason;
    throw fault(path, `${problem} (${typeof reason === 'string' ? reason : messageOf(error)})`, {
      cause: error,
    });
  }
}

function fault(
  path: string,
  problem: string,
  { hint = LAYOUT, cause }: { hint?: string; cause?: unknown } = {},
): TsbuilderError {
  return new TsbuilderError('TSB_TLS', `${path}: ${problem}`, {
    hint,
    details: { path, errno: errnoOf(cause) },
    cause,
  });
}
