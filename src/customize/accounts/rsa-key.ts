import { type KeyObject, checkPrime, createPrivateKey } from 'node:crypto';
import { promisify } from 'node:util';

const E = 65537n;
const SMALL_PRIMES = primesBelow(2000);
const isPrime = promisify<bigint, boolean>(checkPrime);

/**
 * The RSA key that follows from random bytes. Both primes have the two highest bits set, so that the modulus has all its
 * `bits`; they are searched upwards from a random number, as OpenSSH and OpenSSL do.
 *
 * @param bytes `length` random bytes of the stream `label`
 */
export async function rsaKeyFrom(
  bytes: (length: number, label: string) => Buffer,
  bits: number,
): Promise<KeyObject> {
  const half = bits / 2;
  const start = (label: string): bigint => toBigint(bytes(half / 8, label)) | (3n << BigInt(half - 2)) | 1n;
  const [p, q] = await Promise.all([primeFrom(start('p')), primeFrom(start('q'))]);
  return p > q ? keyOf(p, q) : keyOf(q, p);
}

/** The first prime from the odd number `start` on for which `e` has an inverse. */
async function primeFrom(start: bigint): Promise<bigint> {
  const rests = SMALL_PRIMES.map((prime) => ({ prime, rest: Number(start % BigInt(prime)) }));
  for (let step = 0; ; step += 2) {
    if (rests.some(({ prime, rest }) => (rest + step) % prime === 0)) continue;
    const candidate = start + BigInt(step);
    if (candidate % E !== 1n && (await isPrime(candidate))) return candidate;
  }
}

/** RFC 8017 section 3.2: the private key with what the Chinese remainder theorem needs. */
function keyOf(p: bigint, q: bigint): KeyObject {
  const d = inverse(E, ((p - 1n) * (q - 1n)) / gcd(p - 1n, q - 1n));
  const parts = { n: p * q, e: E, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) };
  const fields = Object.entries(parts).map(([name, value]) => [name, toBase64url(value)] as const);
  return createPrivateKey({ format: 'jwk', key: { kty: 'RSA', ...Object.fromEntries(fields) } });
}

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b);
}

/** The number whose product with `value` leaves 1 when divided by `modulus`; they have no common divisor. */
function inverse(value: bigint, modulus: bigint): bigint {
  let [r, nextR, t, nextT] = [modulus, value % modulus, 0n, 1n];
  while (nextR !== 0n) {
    const quotient = r / nextR;
    [r, nextR] = [nextR, r - quotient * nextR];
    [t, nextT] = [nextT, t - quotient * nextT];
  }
  return ((t % modulus) + modulus) % modulus;
}

/** The unsigned number in `bytes`, most significant first. */
export function toBigint(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
}

function toBase64url(value: bigint): string {
  const hex = value.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url');
}

function primesBelow(limit: number): number[] {
  const primes: number[] = [];
  for (let number = 3; number < limit; number += 2)
    if (primes.every((prime) => number % prime !== 0)) primes.push(number);
  return primes;
}
