import { TsbuilderError } from '../errors.js';
import { isClearsigned, openEnvelope } from '../index-repo/clearsign-envelope.js';
import { MAX_INDEX_BYTES } from '../index-repo/index-lexer.js';
import { MAX_KEY_BYTES, readKeyring } from '../index-repo/keyring.js';
import { decodeText, verifyClearsigned } from '../index-repo/signature.js';
import type { TemplateEntry } from '../index-repo/template-entry.js';
import { fetchSmall } from '../io/fetch-small.js';
import { readBounded } from '../io/read-bounded.js';
import { printable } from '../io/printable.js';
import { redactUrl } from '../io/redact-url.js';
import { type IndexProblem, findIndexProblems } from './index-problems.js';
import { entryWarnings, virtBuilderWarnings } from './virt-builder-index.js';

/** Who signed an index. */
export interface IndexSignature {
  readonly signed: boolean;
  /** Of the key, upper-case hex: what the signature claims unless `verified`. */
  readonly signedBy?: string | undefined;
  /** Whether a key that was given has made it, and it holds now. */
  readonly verified: boolean;
}

/** What was found in an index. */
export interface IndexVerdict extends IndexSignature {
  readonly url: string;
  readonly templates: number;
  /** In the order of the text. */
  readonly problems: readonly IndexProblem[];
}

/** What an index is judged by. */
export interface ValidateOptions {
  /** Files with public keys; without any, signatures are not verified. */
  readonly keys: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/**
 * Looks through the index at a path or URL, or from standard input (`-`), signed or not.
 *
 * @throws TSB_NOT_FOUND, TSB_IO, the network's codes, TSB_KEY_INVALID
 */
export async function validateIndex(location: string, options: ValidateOptions): Promise<IndexVerdict> {
  const data = await readIndex(location, options.signal);
  const name = location === '-' ? 'standard input' : printable(redactUrl(location));
  const text = textOrProblem(data, name);
  if (typeof text !== 'string')
    return { url: name, signed: false, verified: false, templates: 0, problems: [text] };
  const { firstLine, inner, problems } = openText(text, name);
  const { signature, problem } = await judge(data, { ...options, name, signed: isClearsigned(text) });
  const source = { name, uri: location, format: 'native', checked: false } as const;
  const found = findIndexProblems(inner, { url: location, firstLine, source });
  const lines = inner.split('\n');
  const lineOf = ({ name: section }: TemplateEntry): number => firstLine + lines.indexOf(`[${section}]`);
  const all = [
    ...problems,
    ...(problem && problems.length === 0 ? [problem] : []),
    ...found.problems,
    ...(found.problems.length === 0
      ? virtBuilderWarnings(asInFile(text, { inner, firstLine }), firstLine)
      : []),
    ...entryWarnings(found.entries, lineOf),
  ];
  return {
    url: name,
    ...signature,
    templates: found.entries.length,
    problems: all.sort((a, b) => a.line - b.line || a.column - b.column),
  };
}

async function readIndex(location: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
  if (location !== '-') return (await fetchSmall(location, { maxBytes: MAX_INDEX_BYTES, signal })).data;
  const data = await readBounded('/dev/stdin', MAX_INDEX_BYTES, signal);
  if (data) return data;
  throw new TsbuilderError('TSB_IO', `standard input: has more than ${MAX_INDEX_BYTES} bytes`);
}

function textOrProblem(data: Uint8Array, name: string): string | IndexProblem {
  try {
    return decodeText(data, name);
  } catch (error) {
    return toProblem(error, name);
  }
}

/** The lines of the index as a reader has them that does not take the signature off: with their ends and dashes. */
function asInFile(text: string, { inner, firstLine }: Pick<OpenedText, 'inner' | 'firstLine'>): string {
  if (!isClearsigned(text)) return text;
  const lines = inner.split('\n').length - 1;
  return text
    .split('\n')
    .slice(firstLine - 1, firstLine - 1 + lines)
    .map((line) => `${line}\n`)
    .join('');
}

interface OpenedText {
  readonly inner: string;
  readonly firstLine: number;
  readonly problems: readonly IndexProblem[];
}

/** The text of the index itself; of one whose signature is malformed, as much as there is. */
function openText(text: string, name: string): OpenedText {
  if (!isClearsigned(text)) return { inner: text, firstLine: 1, problems: [] };
  try {
    const { unverifiedText, firstLine } = openEnvelope(text, name);
    // The newline in front of the signature belongs to the armour.
    return { inner: unverifiedText === '' ? '' : `${unverifiedText}\n`, firstLine, problems: [] };
  } catch (error) {
    return { inner: '', firstLine: 1, problems: [toProblem(error, name)] };
  }
}

function toProblem(error: unknown, name: string): IndexProblem {
  if (!(error instanceof TsbuilderError)) throw error;
  const { line = 1, column = 1 } = error.details;
  // The place is told beside the message.
  const message = error.message.replace(`${name}:`, '').replace(/^(?:\d+:)*\s*/, '');
  return { severity: 'error', code: error.code, line: Number(line), column: Number(column), message };
}

async function judge(
  data: Uint8Array,
  options: ValidateOptions & { name: string; signed: boolean },
): Promise<{ signature: IndexSignature; problem?: IndexProblem }> {
  const { name, signed, signal } = options;
  const keys = (await Promise.all(options.keys.map((path) => readKeys(path, signal)))).flat();
  if (!signed && keys.length === 0) return { signature: { signed, verified: false } };
  try {
    const { primaryFingerprint } = await verifyClearsigned(data, { name, keys });
    return { signature: { signed, signedBy: primaryFingerprint.toUpperCase(), verified: true } };
  } catch (error) {
    const problem = toProblem(error, name);
    const claimed = error instanceof TsbuilderError ? error.details['claimed'] : undefined;
    const signedBy = typeof claimed === 'string' ? claimed.toUpperCase() : undefined;
    const signature = { signed, signedBy, verified: false };
    const isUnknownOnly = keys.length === 0 && problem.code === 'TSB_SIGNATURE_WRONG_KEY';
    return isUnknownOnly ? { signature } : { signature, problem };
  }
}

async function readKeys(path: string, signal: AbortSignal | undefined): ReturnType<typeof readKeyring> {
  const { data } = await fetchSmall(path, { maxBytes: MAX_KEY_BYTES, signal });
  return readKeyring(data, path);
}

/** The entries of a local index that nothing is wrong with, whoever signed it: `validateIndex` tells that. @throws as it */
export async function findRepositoryEntries(
  path: string,
  signal?: AbortSignal,
): Promise<readonly TemplateEntry[]> {
  const { data } = await fetchSmall(path, { maxBytes: MAX_INDEX_BYTES, signal });
  const { inner, firstLine } = openText(decodeText(data, path), path);
  const source = { name: path, uri: path, format: 'native', checked: false } as const;
  return findIndexProblems(inner, { url: path, firstLine, source }).entries;
}
