import type { PrivateKey } from 'openpgp';
import { signaturePolicy } from './signature-policy.js';
import type { SignOptions } from './publish-signer.js';

/**
 * Clearsigns `text` with SHA-512 by the key or subkey of `key` that is meant for it (RFC 9580 sections 5.2 and 7). The library's own
 * function cannot say when a signature expires.
 */
export async function clearsignText(text: string, key: PrivateKey, options: SignOptions): Promise<string> {
  const { PacketList, Signature, SignaturePacket, createMessage, enums } = await import('openpgp');
  const { config } = await signaturePolicy();
  const signer = (await key.getSigningKey(undefined, new Date(), undefined, config)) as PrivateKey;
  const lines = text.split('\n').map((line) => line.trimEnd());
  const packet = new SignaturePacket();
  packet.signatureType = enums.signature.text;
  packet.publicKeyAlgorithm = signer.keyPacket.algorithm;
  packet.hashAlgorithm = enums.hash.sha512;
  if (options.expiresMs !== undefined) {
    packet.signatureNeverExpires = false;
    packet.signatureExpirationTime = Math.ceil(options.expiresMs / 1000);
  }
  const [content] = (await createMessage({ text: lines.join('\n') })).packets;
  // The library needs its settings here too, but does not declare them.
  const sign = packet.sign.bind(packet) as (...values: unknown[]) => Promise<void>;
  await sign(signer.keyPacket, content, new Date(), true, config);
  const packets = new PacketList<typeof packet>();
  packets.push(packet);
  const escaped = lines.map((line) => (line.startsWith('-') ? `- ${line}` : line)).join('\n');
  const signature = new Signature(packets).armor().replaceAll('\r\n', '\n');
  return `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n${escaped}\n${signature}`;
}
