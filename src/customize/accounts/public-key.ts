import { TsbuilderError } from '../../errors.js';

/** A line of authorized_keys (sshd(8)): a public key, perhaps with options before it. */
export interface PublicKey {
  /** The line without its end, a byte string (latin1). */
  readonly line: string;
  /** Type and key without options and comment: what makes two lines the same key. */
  readonly identity: string;
}

const KEY_TYPE =
  /^(ssh-(ed25519|rsa|dss)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)$/;
const CERTIFICATE = /-cert-v0[01]@openssh\.com$/;
const PRIVATE = /-----BEGIN [A-Z ]*PRIVATE KEY-----|PuTTY-User-Key-File|SSH PRIVATE KEY FILE/;

/**
 * The public keys of a file as ssh-keygen writes it, or of several such lines; empty lines and comments are passed over.
 *
 * @param name for messages; nothing of the text is repeated in them
 * @throws TSB_USAGE when there is a private key, a line that is no public key, or no key at all
 */
export function parsePublicKeys(text: string, name: string): PublicKey[] {
  if (PRIVATE.test(text)) {
    throw new TsbuilderError('TSB_USAGE', `${name} is a private key, which must not leave this computer`, {
      hint: 'Give the public key: the file of the same name with .pub at its end.',
    });
  }
  const keys: PublicKey[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const identity = keyIdentity(line);
    if (identity === undefined) throw noKey(name, index + 1, line);
    keys.push({ line, identity });
  }
  if (keys.length > 0) return keys;
  throw new TsbuilderError('TSB_USAGE', `${name} has no public key in it`);
}

/** Type and key of a line of authorized_keys, or undefined when it is none. */
export function keyIdentity(line: string): string | undefined {
  if (/[^\t\x20-\xff]|\x7f/.test(line)) return undefined;
  return identityAt(line) ?? identityAt(line.slice(optionsLength(line)).trimStart());
}

function identityAt(text: string): string | undefined {
  const [type = '', base64 = ''] = text.split(/[ \t]+/);
  if (!KEY_TYPE.test(type) || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined;
  const blob = Buffer.from(base64, 'base64');
  // RFC 4253 section 6.6: the key begins with its type as a string.
  const named = blob.length > 4 + type.length && blob.readUInt32BE(0) === type.length;
  return named && blob.toString('latin1', 4, 4 + type.length) === type ? `${type} ${base64}` : undefined;
}

/** Where the options before a key end: at the first blank that is not in quotes. */
function optionsLength(line: string): number {
  return /^([^" \t]|"([^"\\]|\\.)*")*/.exec(line)?.[0].length ?? 0;
}

function noKey(name: string, number: number, line: string): TsbuilderError {
  const certificate = line.split(/\s+/).some((word) => CERTIFICATE.test(word));
  const what = certificate ? 'a certificate, not a public key' : 'not a public key of OpenSSH';
  return new TsbuilderError('TSB_USAGE', `${name}: line ${number} is ${what}`, {
    hint: certificate
      ? 'Give the .pub file without -cert in its name.'
      : 'A key is one line such as "ssh-ed25519 AAAA... name"; ssh-keygen -i reads other formats.',
    details: { line: number },
  });
}
