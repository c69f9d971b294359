import { createHash } from 'node:crypto';

/** A public key as its type and the fields behind the type's name (RFC 4253 section 6.6, RFC 5656, RFC 8709). */
export interface SshPublicKey {
  readonly type: string;
  readonly fields: readonly Buffer[];
}

const MAGIC = 'openssh-key-v1\0';
const CIPHER_BLOCK = 8;
const LINE = 70;

/** `string` of RFC 4251 section 5: the length in four bytes, then the bytes. */
export function sshString(value: Uint8Array | string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint32(bytes.length), bytes]);
}

/** The bytes of `mpint` (RFC 4251 section 5) for an unsigned number: no leading zeros, but one where the top bit is set. */
export function mpintBytes(unsigned: Uint8Array): Buffer {
  const start = unsigned.findIndex((byte) => byte !== 0);
  const digits = start < 0 ? Buffer.alloc(0) : Buffer.from(unsigned.subarray(start));
  return (digits[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), digits]) : digits;
}

/** The line of a `.pub` file, with its end. */
export function publicKeyLine(key: SshPublicKey, comment: string): string {
  return `${key.type} ${publicBlob(key).toString('base64')} ${comment}\n`;
}

/** `SHA256:` and the hash of the key in base64 without padding, as `ssh-keygen -l` prints it. */
export function keyFingerprint(key: SshPublicKey): string {
  const hash = createHash('sha256').update(publicBlob(key)).digest('base64');
  return `SHA256:${hash.replace(/=+$/, '')}`;
}

/**
 * An Ed25519 key as a private key file of OpenSSH without a passphrase (PROTOCOL.key in OpenSSH's source).
 *
 * @param check any four bytes
 */
export function ed25519PrivateFile(
  key: { readonly seed: Uint8Array; readonly publicKey: Uint8Array },
  { comment, check }: { readonly comment: string; readonly check: Uint8Array },
): string {
  const publicKey: SshPublicKey = { type: 'ssh-ed25519', fields: [Buffer.from(key.publicKey)] };
  const secret = Buffer.concat([
    check,
    check,
    publicBlob(publicKey),
    sshString(Buffer.concat([key.seed, key.publicKey])),
    sshString(comment),
  ]);
  const padding = Buffer.from(
    Array.from({ length: (CIPHER_BLOCK - (secret.length % CIPHER_BLOCK)) % CIPHER_BLOCK }, (_, at) => at + 1),
  );
  const file = Buffer.concat([
    Buffer.from(MAGIC),
    sshString('none'),
    sshString('none'),
    sshString(''),
    uint32(1),
    sshString(publicBlob(publicKey)),
    sshString(Buffer.concat([secret, padding])),
  ]);
  const lines = file.toString('base64').match(new RegExp(`.{1,${LINE}}`, 'g')) ?? [];
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join(
    '\n',
  );
}

function publicBlob({ type, fields }: SshPublicKey): Buffer {
  return Buffer.concat([type, ...fields].map(sshString));
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
