import { createHash } from 'node:crypto';

/** The digits of crypt(5) hashes; the least significant six bits come first. */
const DIGITS = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ROUNDS = 5000;

/** How the two hashes are told apart and in which order their bytes are written. */
const METHODS = {
  sha512: {
    prefix: '$6$',
    third: 21,
    next: ([a, b, c]: Triple): Triple => [b + 1, c + 1, a + 1],
    rest: [63],
  },
  sha256: {
    prefix: '$5$',
    third: 10,
    next: ([a, b, c]: Triple): Triple => [c + 1, a + 1, b + 1],
    rest: [31, 30],
  },
} as const;

type Triple = readonly [number, number, number];

/** One digit of crypt(5) for the low six bits of `value`. */
export function cryptDigit(value: number): string {
  return DIGITS.charAt(value & 63);
}

/**
 * SHA-512 or SHA-256 crypt with the default of 5000 rounds: `$6$salt$hash`. Source: U. Drepper, "Unix crypt using SHA-256
 * and SHA-512", the numbered steps of which are in the order below.
 *
 * @param salt up to 16 digits of crypt(5)
 */
export function shaCrypt(password: Uint8Array, salt: string, method: 'sha512' | 'sha256'): string {
  const hash = (...parts: readonly Uint8Array[]): Buffer =>
    parts.reduce((sum, part) => sum.update(part), createHash(method)).digest();
  const key = Buffer.from(password);
  const saltBytes = Buffer.from(salt, 'latin1');
  const first = firstDigest(key, saltBytes, hash);
  const keyPart = stretch(hash(stretch(key, key.length * key.length)), key.length);
  const saltRepeats = 16 + first.readUInt8(0);
  const saltPart = stretch(hash(stretch(saltBytes, salt.length * saltRepeats)), salt.length);
  let digest = first;
  const none = Buffer.alloc(0);
  for (let round = 0; round < ROUNDS; round += 1) {
    const odd = round % 2 === 1;
    digest = hash(
      odd ? keyPart : digest,
      round % 3 === 0 ? none : saltPart,
      round % 7 === 0 ? none : keyPart,
      odd ? digest : keyPart,
    );
  }
  return `${METHODS[method].prefix}${salt}$${encode(digest, method)}`;
}

function firstDigest(key: Buffer, salt: Buffer, hash: (...parts: readonly Uint8Array[]) => Buffer): Buffer {
  const inner = hash(key, salt, key);
  const parts = [key, salt, stretch(inner, key.length)];
  for (let bits = key.length; bits > 0; bits >>= 1) parts.push((bits & 1) === 1 ? inner : key);
  return hash(...parts);
}

/** `bytes` repeated and cut to `length`. */
function stretch(bytes: Buffer, length: number): Buffer {
  return bytes.length === 0 ? bytes : Buffer.alloc(length, bytes);
}

function encode(digest: Buffer, method: 'sha512' | 'sha256'): string {
  const { third, next, rest } = METHODS[method];
  let text = '';
  let triple: Triple = [0, third, 2 * third];
  for (let group = 0; group < third; group += 1) {
    text += digits(digest, triple);
    triple = next(triple);
  }
  return text + digits(digest, rest);
}

/** The bytes at `places`, most significant first, as digits. */
function digits(digest: Buffer, places: readonly number[]): string {
  let value = places.reduce((sum, place) => sum * 256 + digest.readUInt8(place), 0);
  let text = '';
  for (let bits = 8 * places.length; bits > 0; bits -= 6) {
    text += cryptDigit(value);
    value >>= 6;
  }
  return text;
}
