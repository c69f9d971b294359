import {
  type JsonWebKey,
  type KeyObject,
  createECDH,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
} from 'node:crypto';
import { promisify } from 'node:util';
import type { RandomSource } from '../../io/random.js';
import type { HostKeyFingerprint } from '../operation-kind.js';
import {
  type SshPublicKey,
  ed25519PrivateFile,
  keyFingerprint,
  mpintBytes,
  publicKeyLine,
} from './ssh-key-format.js';

/** A host key as the two files that sshd reads, `ssh_host_TYPE_key` and that with `.pub`. */
export interface HostKey extends HostKeyFingerprint {
  readonly privateFile: string;
  readonly publicLine: string;
}

/** The private keys; the RSA key is missing where all of it would have to follow from a seed. */
interface Secrets {
  readonly ed25519: KeyObject;
  readonly ecdsa: KeyObject;
  readonly rsa?: KeyObject | undefined;
}

const LABEL = 'ssh-host-key';
const RSA_BITS = 3072;
/** The order of P-256 (FIPS 186-5, NIST SP 800-186 section 3.2.1.3). */
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
/** RFC 8410 section 7: all that stands before the 32 bytes of an Ed25519 key in PKCS #8. */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * New host keys, one of each type that OpenSSH makes, without passphrases. They come from OpenSSL. A seeded source makes the same keys
 * again, but for the RSA key, which is left out: OpenSSL finds the primes of one by its own random numbers only, and a second
 * search for primes is nothing to trust a key to. The RSA and ECDSA keys are in PEM, which every release of OpenSSH reads; its own
 * format, which Ed25519 keys have, is from 6.5 on.
 */
export async function makeHostKeys(random: RandomSource, comment: string): Promise<HostKey[]> {
  const { ed25519, ecdsa, rsa } = random.seeded ? seededSecrets(random) : await newSecrets();
  const check = random.bytes(4, `${LABEL} check`);
  return [
    ed25519Files(ed25519, { comment, check }),
    ecdsaFiles(ecdsa, comment),
    ...(rsa ? [rsaFiles(rsa, comment)] : []),
  ];
}

async function newSecrets(): Promise<Secrets> {
  const generate = promisify(generateKeyPair);
  const [ed25519, ecdsa, rsa] = await Promise.all([
    generate('ed25519'),
    generate('ec', { namedCurve: 'prime256v1' }),
    generate('rsa', { modulusLength: RSA_BITS }),
  ]);
  return { ed25519: ed25519.privateKey, ecdsa: ecdsa.privateKey, rsa: rsa.privateKey };
}

function seededSecrets(random: RandomSource): Secrets {
  const seed = random.bytes(32, `${LABEL} ed25519`);
  const key = Buffer.concat([ED25519_PKCS8, seed]);
  return {
    ed25519: createPrivateKey({ key, format: 'der', type: 'pkcs8' }),
    // FIPS 186-5 A.2.1: with 64 bits more than needed the remainder is as good as uniform.
    ecdsa: p256Key((toBigint(random.bytes(40, `${LABEL} ecdsa`)) % (P256_ORDER - 1n)) + 1n),
  };
}

function p256Key(scalar: bigint): KeyObject {
  const d = Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex');
  const curve = createECDH('prime256v1');
  curve.setPrivateKey(d);
  const [x, y] = halves(curve.getPublicKey().subarray(1));
  const key = { kty: 'EC', crv: 'P-256', d: base64url(d), x: base64url(x), y: base64url(y) };
  return createPrivateKey({ format: 'jwk', key });
}

function ed25519Files(
  secret: KeyObject,
  { comment, check }: { readonly comment: string; readonly check: Buffer },
): HostKey {
  const jwk = secret.export({ format: 'jwk' });
  const [seed, publicKey] = [field(jwk, 'd'), field(jwk, 'x')];
  const key: SshPublicKey = { type: 'ssh-ed25519', fields: [publicKey] };
  const privateFile = ed25519PrivateFile({ seed, publicKey }, { comment, check });
  return { type: 'ed25519', privateFile, ...publicHalf(key, comment) };
}

function ecdsaFiles(secret: KeyObject, comment: string): HostKey {
  const jwk = publicJwk(secret);
  // SEC 1 section 2.3.3: a point that is not compressed.
  const point = Buffer.concat([Buffer.of(4), field(jwk, 'x'), field(jwk, 'y')]);
  const key: SshPublicKey = { type: 'ecdsa-sha2-nistp256', fields: [Buffer.from('nistp256'), point] };
  const pem = secret.export({ format: 'pem', type: 'sec1' }).toString();
  return { type: 'ecdsa', privateFile: pem, ...publicHalf(key, comment) };
}

function rsaFiles(secret: KeyObject, comment: string): HostKey {
  const jwk = publicJwk(secret);
  const fields = [mpintBytes(field(jwk, 'e')), mpintBytes(field(jwk, 'n'))];
  const pem = secret.export({ format: 'pem', type: 'pkcs1' }).toString();
  return { type: 'rsa', privateFile: pem, ...publicHalf({ type: 'ssh-rsa', fields }, comment) };
}

function publicHalf(key: SshPublicKey, comment: string): Pick<HostKey, 'publicLine' | 'fingerprint'> {
  return { publicLine: publicKeyLine(key, comment), fingerprint: keyFingerprint(key) };
}

function publicJwk(secret: KeyObject): JsonWebKey {
  return createPublicKey(secret).export({ format: 'jwk' });
}

function field(jwk: JsonWebKey, name: 'd' | 'x' | 'y' | 'e' | 'n'): Buffer {
  return Buffer.from(jwk[name] ?? '', 'base64url');
}

function halves(bytes: Buffer): [Buffer, Buffer] {
  return [bytes.subarray(0, bytes.length / 2), bytes.subarray(bytes.length / 2)];
}

/** The unsigned number in `bytes`, most significant first. */
function toBigint(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`);
}

function base64url(bytes: Buffer): string {
  return bytes.toString('base64url');
}
