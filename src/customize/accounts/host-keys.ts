import { type JsonWebKey, type KeyObject, createECDH, createPrivateKey, createPublicKey } from 'node:crypto';
import type { RandomSource } from '../../io/random.js';
import { rsaKeyFrom, toBigint } from './rsa-key.js';
import { type SshPublicKey, ed25519PrivateFile, mpintBytes, publicKeyLine } from './ssh-key-format.js';

/** A host key as the two files that sshd reads. */
export interface HostKey {
  /** As in the file's name: `ssh_host_TYPE_key`. */
  readonly type: 'ed25519' | 'ecdsa' | 'rsa';
  readonly privateFile: string;
  readonly publicLine: string;
}

const LABEL = 'ssh-host-key';
const RSA_BITS = 3072;
/** The order of P-256 (FIPS 186-5, NIST SP 800-186 section 3.2.1.3). */
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
/** RFC 8410 section 7: all that stands before the 32 bytes of an Ed25519 key in PKCS #8. */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * New host keys, one of each type that OpenSSH makes, without passphrases. All of their material is taken from `random`, so
 * that a seeded source makes the same keys again. The RSA and ECDSA keys are in PEM, which every release of OpenSSH reads; its own
 * format, which Ed25519 keys have, is from 6.5 on.
 */
export async function makeHostKeys(random: RandomSource, comment: string): Promise<HostKey[]> {
  return [ed25519Key(random, comment), ecdsaKey(random, comment), await rsaKey(random, comment)];
}

function ed25519Key(random: RandomSource, comment: string): HostKey {
  const seed = random.bytes(32, `${LABEL} ed25519`);
  const secret = createPrivateKey({
    key: Buffer.concat([ED25519_PKCS8, seed]),
    format: 'der',
    type: 'pkcs8',
  });
  const publicKey = field(publicJwk(secret), 'x');
  const check = random.bytes(4, `${LABEL} check`);
  return {
    type: 'ed25519',
    privateFile: ed25519PrivateFile({ seed, publicKey }, { comment, check }),
    publicLine: publicKeyLine({ type: 'ssh-ed25519', fields: [publicKey] }, comment),
  };
}

function ecdsaKey(random: RandomSource, comment: string): HostKey {
  // FIPS 186-5 A.2.1: with 64 bits more than needed the remainder is as good as uniform.
  const scalar = (toBigint(random.bytes(40, `${LABEL} ecdsa`)) % (P256_ORDER - 1n)) + 1n;
  const d = Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex');
  const curve = createECDH('prime256v1');
  curve.setPrivateKey(d);
  const point = curve.getPublicKey();
  const [x, y] = [point.subarray(1, 33), point.subarray(33)];
  const key = { kty: 'EC', crv: 'P-256', d: base64url(d), x: base64url(x), y: base64url(y) };
  const secret = createPrivateKey({ format: 'jwk', key });
  const fields = [Buffer.from('nistp256'), point];
  return pemKey('ecdsa', secret.export({ format: 'pem', type: 'sec1' }), {
    line: publicKeyLine({ type: 'ecdsa-sha2-nistp256', fields }, comment),
  });
}

async function rsaKey(random: RandomSource, comment: string): Promise<HostKey> {
  const secret = await rsaKeyFrom((length, label) => random.bytes(length, `${LABEL} rsa ${label}`), RSA_BITS);
  const jwk = publicJwk(secret);
  const key: SshPublicKey = {
    type: 'ssh-rsa',
    fields: [mpintBytes(field(jwk, 'e')), mpintBytes(field(jwk, 'n'))],
  };
  return pemKey('rsa', secret.export({ format: 'pem', type: 'pkcs1' }), {
    line: publicKeyLine(key, comment),
  });
}

function pemKey(type: 'ecdsa' | 'rsa', pem: string | Buffer, { line }: { readonly line: string }): HostKey {
  return { type, privateFile: pem.toString(), publicLine: line };
}

function publicJwk(secret: KeyObject): JsonWebKey {
  return createPublicKey(secret).export({ format: 'jwk' });
}

function field(jwk: JsonWebKey, name: 'x' | 'e' | 'n'): Buffer {
  return Buffer.from(jwk[name] ?? '', 'base64url');
}

function base64url(bytes: Buffer): string {
  return bytes.toString('base64url');
}
