import { TsbuilderError } from '../errors.js';

const BEGIN_TEXT = '-----BEGIN PGP SIGNED MESSAGE-----';
const BEGIN_SIGNATURE = '-----BEGIN PGP SIGNATURE-----';
const END_SIGNATURE = '-----END PGP SIGNATURE-----';

/** The library reads armour line by line, slowly: without a bound, 8 MiB of newlines would keep it busy for seconds. */
const MAX_LINES = 250_000;

/** The outside of a clearsigned text (RFC 9580 section 7), before anything has been verified. */
export interface Envelope {
  /** The text inside, dash-escapes undone. Nobody has vouched for it. */
  readonly unverifiedText: string;
  /** Line number, from 1, in the file of the first line of the text. */
  readonly firstLine: number;
}

/** Whether `text` has a clearsigned part, well-formed or not. */
export function isClearsigned(text: string): boolean {
  return /^-----BEGIN PGP SIGNED MESSAGE-----\s*$/m.test(text);
}

/**
 * Checks that `text` is one clearsigned block and nothing else: blank lines around it at most, no armour inside, every
 * line of the text that begins with a dash escaped.
 *
 * @param name path or URL, for messages
 * @throws TSB_INDEX_UNSIGNED when there is no clearsigned part; TSB_SIGNATURE_BAD, with the line, when there is more
 *   than one, something around or inside it, or its end is missing
 */
export function openEnvelope(text: string, name: string): Envelope {
  if (!isClearsigned(text)) {
    throw new TsbuilderError('TSB_INDEX_UNSIGNED', `${name}: is not signed`, {
      hint: 'Its publisher must clearsign it; --no-check-signature would trust whoever controls the server.',
    });
  }
  const lines = text.split('\n').map((line) => line.trimEnd());
  if (lines.length > MAX_LINES) throw malformed(name, MAX_LINES, `more than ${MAX_LINES} lines`);
  const begin = lines.findIndex((line) => line.trim() !== '');
  if (lines[begin] !== BEGIN_TEXT) throw malformed(name, begin, 'text before the signed part');
  const headersEnd = lines.indexOf('', begin);
  const textEnd = lines.findIndex(
    (line, i) => i > headersEnd && line.startsWith('-') && !line.startsWith('- '),
  );
  if (headersEnd < 0 || textEnd < 0) throw truncated(name);
  const body = lines.slice(headersEnd + 1, textEnd);
  checkSignatureBlock(lines, textEnd, name);
  return {
    unverifiedText: body.map((line) => line.replace(/^- /, '')).join('\n'),
    firstLine: headersEnd + 2,
  };
}

function checkSignatureBlock(lines: readonly string[], begin: number, name: string): void {
  if (lines[begin] !== BEGIN_SIGNATURE)
    throw malformed(name, begin, 'a line inside the signed text begins with an unescaped dash');
  const end = lines.findIndex((line, i) => i > begin && line.startsWith('-'));
  if (end < 0) throw truncated(name);
  if (lines[end] !== END_SIGNATURE) throw malformed(name, end, 'something nested in the signature');
  const after = lines.findIndex((line, i) => i > end && line.trim() !== '');
  if (after >= 0) throw malformed(name, after, 'text after the signature');
}

function malformed(name: string, index: number, what: string): TsbuilderError {
  return new TsbuilderError('TSB_SIGNATURE_BAD', `${name}:${index + 1}: ${what}`, {
    hint: 'The file must be exactly what gpg --clearsign wrote: one signed text, nothing around it.',
    details: { url: name, line: index + 1 },
  });
}

function truncated(name: string): TsbuilderError {
  return new TsbuilderError('TSB_SIGNATURE_BAD', `${name}: is truncated: its signature has no end`, {
    hint: 'The download was cut short or the file on the server is incomplete. Try again later.',
    details: { url: name },
  });
}
