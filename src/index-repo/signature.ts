import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import type { Config, PublicKey, Signature, SignaturePacket } from 'openpgp';
import { TsbuilderError, messageOf } from '../errors.js';
import { openEnvelope } from './clearsign-envelope.js';
import {
  type JudgeOptions,
  type SignedDocument,
  type VerifiedSignature,
  judgeSignatures,
} from './judge-signature.js';

/** The text that a signature vouches for. Nothing else of the file may be looked at. */
export interface VerifiedText extends VerifiedSignature {
  /** Dash-escapes undone, lines ended by newlines, blanks at line ends gone. */
  readonly text: string;
  /** Line number, from 1, of its first line in the file. */
  readonly firstLine: number;
}

/**
 * Decodes UTF-8, keeping every byte's meaning.
 *
 * @param name path or URL, for messages
 * @throws TSB_INDEX_SYNTAX when it is not UTF-8
 */
export function decodeText(data: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data);
  } catch (error) {
    const { line, column } = firstForeign(data);
    throw new TsbuilderError('TSB_INDEX_SYNTAX', `${name}:${line}:${column}: is not UTF-8 text`, {
      details: { url: name, line, column },
      cause: error,
    });
  }
}

/** Where, counted from 1, the first bytes are that are no UTF-8. */
function firstForeign(data: Uint8Array): { readonly line: number; readonly column: number } {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const again = new TextEncoder().encode(decoder.decode(data));
  const end = data.findIndex((byte, at) => again[at] !== byte);
  const lines = decoder.decode(data.subarray(0, end)).split('\n');
  return { line: lines.length, column: 1 + (lines.at(-1)?.length ?? 0) };
}

/**
 * Verifies a file that must be one clearsigned text (RFC 9580 section 7) with nothing around it.
 *
 * @returns the text that was verified, and by whom: parse this text, never the file
 * @throws TSB_INDEX_UNSIGNED, TSB_SIGNATURE_BAD (tampered, truncated, malformed), _WRONG_KEY, _EXPIRED, _REVOKED,
 *   _FUTURE, _WEAK; TSB_INDEX_SYNTAX when it is not UTF-8
 */
export async function verifyClearsigned(data: Uint8Array, options: JudgeOptions): Promise<VerifiedText> {
  const file = decodeText(data, options.name);
  const { firstLine } = openEnvelope(file, options.name);
  const { enums, readCleartextMessage } = await import('openpgp');
  const message = await readCleartextMessage({ cleartextMessage: file }).catch((error: unknown) => {
    throw unreadable(options.name, error);
  });
  const listed = await Promise.all((await message.verify([])).map((result) => result.signature));
  const all = listed.flatMap(({ packets }) => [...packets]);
  const document: SignedDocument = {
    packets: all.filter(({ signatureType }) => signatureType === enums.signature.text),
    verify: async (packet, { keys, date, config }) => {
      const results = await message.verify(keys, date, config);
      await verdict(results[all.indexOf(packet)]);
    },
  };
  return { ...(await judgeSignatures(document, options)), text: message.getText(), firstLine };
}

/** Waits for the library's verdict; no verdict is a bad one. */
async function verdict(result: { verified: Promise<true> } | undefined): Promise<void> {
  if ((await result?.verified) !== true) throw new Error('it was not verified');
}

/** The largest detached signature, in bytes, that is read. */
export const MAX_DETACHED_BYTES: number = 64 * 1024;

/**
 * Verifies the file at `path` against a detached signature, armoured or binary. The file is read once for each of its
 * signatures by a trusted key, in pieces: memory does not depend on its size.
 *
 * @throws as {@link verifyClearsigned}, and TSB_IO when the file cannot be read
 */
export async function verifyDetached(
  path: string,
  signature: Uint8Array,
  options: JudgeOptions & { readonly signal?: AbortSignal | undefined },
): Promise<VerifiedSignature> {
  const openpgp = await import('openpgp');
  const packets = await readDetached(signature, options.name);
  const document: SignedDocument = {
    packets: packets.filter(({ signatureType }) => signatureType === openpgp.enums.signature.binary),
    verify: async (packet, { keys, date, config }) => {
      const single = new openpgp.PacketList<SignaturePacket>();
      single.push(packet);
      const signed = { signature: new openpgp.Signature(single), verificationKeys: keys, date, config };
      await verifyFile(path, signed, options.signal);
    },
  };
  return judgeSignatures(document, options);
}

/** Lets the library hash the file as it is read; the copy it gives out must be drained, or nothing moves. */
async function verifyFile(
  path: string,
  signed: { signature: Signature; verificationKeys: PublicKey[]; date: Date; config: Config },
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  const { createMessage, verify } = await import('openpgp');
  const file = createReadStream(path, { highWaterMark: 1024 * 1024 });
  try {
    // The library takes and gives web streams, but declares them by a package that is not installed with it.
    const message = await createMessage({ binary: Readable.toWeb(file) as unknown as Uint8Array });
    const result = await verify({ ...signed, message, format: 'binary' });
    const reader = (result.data as unknown as ReadableStream<Uint8Array>).getReader();
    while (!(await reader.read()).done) signal?.throwIfAborted();
    await verdict(result.signatures[0]);
  } catch (error) {
    throw file.errored ? readError(path, file.errored) : error;
  } finally {
    file.destroy();
  }
}

async function readDetached(signature: Uint8Array, name: string): Promise<SignaturePacket[]> {
  const { readSignature } = await import('openpgp');
  const isBinary = (signature[0] ?? 0) >= 0x80;
  try {
    if (signature.length > MAX_DETACHED_BYTES) throw new Error(`longer than ${MAX_DETACHED_BYTES} bytes`);
    const parsed = isBinary
      ? await readSignature({ binarySignature: signature })
      : await readSignature({ armoredSignature: Buffer.from(signature).toString('latin1') });
    return parsed.packets.filter((packet) => 'issuerKeyID' in packet);
  } catch (error) {
    throw unreadable(name, error);
  }
}

function unreadable(name: string, error: unknown): TsbuilderError {
  return new TsbuilderError(
    'TSB_SIGNATURE_BAD',
    `${name}: the signature cannot be read: ${messageOf(error)}`,
    {
      hint: 'The file is damaged or was changed. Do not use it.',
      details: { url: name },
      cause: error,
    },
  );
}

function readError(path: string, error: Error): TsbuilderError {
  return new TsbuilderError('TSB_IO', `${path}: cannot be read: ${error.message}`, { cause: error });
}
