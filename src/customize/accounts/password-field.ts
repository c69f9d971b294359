import { TsbuilderError } from '../../errors.js';
import type { GuestOs } from '../../guest/inspect.js';
import { type CryptMethod, MAX_PASSWORD_BYTES, SALT_BYTES, cryptPassword } from '../../io/crypt.js';
import type { RandomSource } from '../../io/random.js';
import type { CustomizeContext } from '../operation-kind.js';
import { readSmallHostFile } from './host-file.js';
import { defaultPasswordMethod } from './password-method.js';
import type { PasswordSelector } from './password-selector.js';

const RANDOM_LENGTH = 16;
/** Letters and digits that cannot be taken for each other in any usual font. */
const ALPHABET = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789';
const MAX_FILE_BYTES = 1024 * 1024;

/** Locked, and without a password that unlocking could bring back: what virt-builder writes. */
const LOCKED_AND_DISABLED = '!!*';

/**
 * The password field that `selector` makes for `user`: a hash, `*` when disabled, behind `!` when locked (one, as `passwd -u` takes
 * one away).
 *
 * @throws TSB_NOT_FOUND for a missing file, TSB_USAGE for a password that cannot be typed at a login, TSB_TOOL_MISSING
 */
export async function passwordField(
  user: string,
  selector: PasswordSelector,
  on: { readonly os: GuestOs; readonly context: CustomizeContext },
): Promise<string> {
  on.context.secret(secretOf(user), undefined);
  if (selector.from === 'disabled') return selector.locked ? LOCKED_AND_DISABLED : '*';
  const password = await passwordBytes(user, selector, on.context);
  const hash = await hashFor(user, password, on);
  return selector.locked ? `!${hash}` : hash;
}

const secretOf = (user: string): string => `password of ${user}`;

async function passwordBytes(
  user: string,
  selector: Exclude<PasswordSelector, { from: 'disabled' }>,
  context: CustomizeContext,
): Promise<Buffer> {
  if (selector.from === 'random') {
    const password = randomPassword(context.random, `password ${user}`);
    context.secret(secretOf(user), password);
    return Buffer.from(password);
  }
  if (selector.from === 'password') return usable(user, Buffer.from(selector.password));
  const content = await readSmallHostFile(selector.file, MAX_FILE_BYTES, context.signal);
  const line = /^[^\n]*/.exec(content.toString('latin1'))?.[0] ?? '';
  return usable(user, Buffer.from(line.replace(/\r$/, ''), 'latin1'));
}

/** The password itself, unless nobody could log in with it. */
function usable(user: string, password: Buffer): Buffer {
  const problem = password.length === 0 ? 'empty' : undefined;
  const long = password.length > MAX_PASSWORD_BYTES ? `longer than ${MAX_PASSWORD_BYTES} bytes` : problem;
  const fault = /[\0\n\r]/.test(password.toString('latin1')) ? 'more than one line or has a NUL byte' : long;
  if (fault === undefined) return password;
  throw new TsbuilderError('TSB_USAGE', `the password for ${user} is ${fault}`, { details: { user } });
}

/** Sixteen letters and digits, each of 56 with the same probability: 92 bits. */
export function randomPassword(random: RandomSource, label: string): string {
  const fair = 256 - (256 % ALPHABET.length);
  // An eighth of the bytes is dropped; that fewer than 16 of 128 are left is out of the question.
  const letters = [...random.bytes(8 * RANDOM_LENGTH, label)].filter((byte) => byte < fair);
  return letters
    .slice(0, RANDOM_LENGTH)
    .map((byte) => ALPHABET.charAt(byte % ALPHABET.length))
    .join('');
}

async function hashFor(
  user: string,
  password: Buffer,
  { os, context }: { readonly os: GuestOs; readonly context: CustomizeContext },
): Promise<string> {
  const method = context.passwordCrypto ?? defaultPasswordMethod(os.distro);
  if (context.passwordCrypto === undefined && method === 'md5') {
    context.warn(
      `the password of ${user} is hashed with md5, which is weak: ${nameOf(os)} knows nothing better`,
    );
  }
  const salt = context.random.bytes(SALT_BYTES, `password salt ${user}`);
  try {
    return await cryptPassword(password, method, salt);
  } catch (error) {
    if (!canFallBack(error, method, context)) throw error;
    context.warn(`the password of ${user} is hashed with sha512, as no libcrypt for yescrypt was found here`);
    return cryptPassword(password, 'sha512', salt);
  }
}

/** Whoever asked for yescrypt gets yescrypt or an error. */
function canFallBack(error: unknown, method: CryptMethod, context: CustomizeContext): boolean {
  const missing = error instanceof TsbuilderError && error.code === 'TSB_TOOL_MISSING';
  return missing && method === 'yescrypt' && context.passwordCrypto === undefined;
}

function nameOf(os: GuestOs): string {
  return os.distro?.name ?? 'this guest';
}
