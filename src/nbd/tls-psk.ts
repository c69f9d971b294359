import { readFile } from 'node:fs/promises';
import { TsbuilderError, messageOf } from '../errors.js';

/** The keys that clients may use, by user name. */
export type PskKeys = ReadonlyMap<string, Buffer>;

/** A key shorter than this can be guessed from one recorded handshake. */
const MIN_KEY_BYTES = 16;
/** What OpenSSL takes (PSK_MAX_IDENTITY_LEN and PSK_MAX_PSK_LEN of ssl.h). */
const MAX_USER_BYTES = 256;
const MAX_KEY_BYTES = 512;

/**
 * Reads a file of pre-shared keys as `psktool` of GnuTLS writes it: `USER:HEXKEY` in each line; empty lines and lines that begin
 * with `#` are passed over.
 *
 * @throws TSB_TLS when the file cannot be read, has no key, or has a line that is none
 */
export async function readPskFile(path: string): Promise<PskKeys> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new TsbuilderError('TSB_TLS', `${path}: the TLS keys cannot be read: ${messageOf(error)}`, {
      hint: 'Make one: psktool -u USER -p FILE',
      cause: error,
    });
  });
  return parsePskFile(text, path);
}

/** The keys in `text`. `path` is for messages, which never show a key. @throws TSB_TLS as `readPskFile` */
export function parsePskFile(text: string, path: string): PskKeys {
  const keys = new Map<string, Buffer>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const fault = addKey(keys, line.trim());
    if (fault === undefined) continue;
    throw new TsbuilderError('TSB_TLS', `${path}: line ${index + 1} ${fault}`, {
      hint: 'Each line is USER:HEXKEY, as psktool -u USER -p FILE writes it.',
      details: { path, line: index + 1 },
    });
  }
  if (keys.size === 0) {
    throw new TsbuilderError('TSB_TLS', `${path}: holds no key`, {
      hint: `Make one: psktool -u USER -p ${path}`,
    });
  }
  return keys;
}

/** @returns what is wrong with the line, if anything */
function addKey(keys: Map<string, Buffer>, line: string): string | undefined {
  const [, user, hex] = /^([^:]+):([0-9a-fA-F]+)$/.exec(line) ?? [];
  if (user === undefined || hex === undefined || hex.length % 2 !== 0) return 'is not USER:HEXKEY';
  if (keys.has(user)) return `has a second key for ${JSON.stringify(user)}`;
  const key = Buffer.from(hex, 'hex');
  if (Buffer.byteLength(user) > MAX_USER_BYTES) return `has a user name of more than ${MAX_USER_BYTES} bytes`;
  if (key.length < MIN_KEY_BYTES || key.length > MAX_KEY_BYTES) {
    return `has a key of ${key.length} bytes; it must have ${MIN_KEY_BYTES} to ${MAX_KEY_BYTES}`;
  }
  keys.set(user, key);
  return undefined;
}
