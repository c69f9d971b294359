import { TsbuilderError } from '../errors.js';
import { type NativeFunction, loadNativeLibrary } from './native.js';
import { cryptDigit, shaCrypt } from './sha-crypt.js';

/** The hashes of crypt(5) that a password can be stored as. */
export type CryptMethod = 'yescrypt' | 'sha512' | 'sha256' | 'md5';

/** Random bytes that every method's salt is made of. */
export const SALT_BYTES = 22;
/** Longest password in bytes that libcrypt takes (its CRYPT_MAX_PASSPHRASE_SIZE without the NUL). */
export const MAX_PASSWORD_BYTES = 511;

/** `struct crypt_data` of libxcrypt, and of every crypt library that is compatible with it. */
const CRYPT_DATA_BYTES = 32768;
const NAMES = ['libcrypt.so.1', 'libcrypt.so.2'];

/** What stands before the salt, and how many digits that has. `j9T` is yescrypt's default cost: 16 MiB of memory. */
const SETTINGS: Readonly<Record<CryptMethod, { prefix: string; digits: number }>> = {
  yescrypt: { prefix: '$y$j9T$', digits: 22 },
  sha512: { prefix: '$6$', digits: 16 },
  sha256: { prefix: '$5$', digits: 16 },
  md5: { prefix: '$1$', digits: 8 },
};

/**
 * Hashes a password as crypt(3) does, in the form that /etc/shadow has. It runs in the system's libcrypt, on the thread pool;
 * where there is none, sha512 and sha256 are computed here, which gives the same text.
 *
 * @param salt {@link SALT_BYTES} random bytes
 * @throws TSB_USAGE when the password is longer than {@link MAX_PASSWORD_BYTES} or has a NUL byte, TSB_TOOL_MISSING when
 *   only libcrypt has the method
 */
export async function cryptPassword(
  password: Uint8Array,
  method: CryptMethod,
  salt: Uint8Array,
): Promise<string> {
  if (password.length > MAX_PASSWORD_BYTES || password.includes(0)) {
    throw new TsbuilderError(
      'TSB_USAGE',
      `a password of ${password.length} bytes or with a NUL byte cannot be hashed; the limit is ${MAX_PASSWORD_BYTES} bytes`,
    );
  }
  const setting = settingOf(method, salt);
  const hash = await callLibcrypt(password, setting);
  if (hash !== undefined) return hash;
  if (method === 'sha512' || method === 'sha256')
    return shaCrypt(password, setting.slice(SETTINGS[method].prefix.length), method);
  throw new TsbuilderError(
    'TSB_TOOL_MISSING',
    `${method} password hashes need libcrypt, which cannot be used`,
    {
      hint: 'Install it (apt-get install libcrypt1; dnf install libxcrypt), or choose --password-crypto sha512.',
      details: { method },
    },
  );
}

function settingOf(method: CryptMethod, salt: Uint8Array): string {
  const { prefix, digits } = SETTINGS[method];
  const text = [...salt.subarray(0, digits)].map(cryptDigit);
  // The last digit of yescrypt's 16 bytes has two bits only.
  if (method === 'yescrypt') text[digits - 1] = cryptDigit((salt[digits - 1] ?? 0) & 3);
  return prefix + text.join('');
}

/** The hash, or undefined when there is no libcrypt or it does not know the method. */
async function callLibcrypt(password: Uint8Array, setting: string): Promise<string | undefined> {
  const crypt = loadCrypt();
  if (!crypt) return undefined;
  const phrase = Buffer.concat([password, Buffer.alloc(1)]);
  const scratch = Buffer.alloc(CRYPT_DATA_BYTES);
  try {
    const hash = await crypt.inPool([phrase, Buffer.from(`${setting}\0`), scratch, scratch.length]);
    return typeof hash === 'string' && hash.startsWith(setting) ? hash : undefined;
  } finally {
    phrase.fill(0);
    scratch.fill(0);
  }
}

let cached: { crypt: NativeFunction | undefined } | undefined;

function loadCrypt(): NativeFunction | undefined {
  cached ??= { crypt: bindCrypt() };
  return cached.crypt;
}

/** glibc's own libcrypt, from before libxcrypt took its place, has no crypt_rn: it is left alone. */
function bindCrypt(): NativeFunction | undefined {
  try {
    return loadNativeLibrary(NAMES)?.bind(
      'const char *crypt_rn(const uint8_t *phrase, const uint8_t *setting, uint8_t *data, int size)',
    );
  } catch {
    return undefined;
  }
}
