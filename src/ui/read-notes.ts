import { readFile } from 'node:fs/promises';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';

const LANGUAGE = /^([a-z]{2,3}(?:_[A-Z]{2})?)=([\s\S]*)$/;

/**
 * Notes by language, from `FILE`, `TEXT`, `de=FILE` or `de=TEXT`; '' is the language of what has none. What is no file is text.
 *
 * @param warn told of text that looks like the name of a file
 * @throws TSB_USAGE when a language appears twice, TSB_IO when a file cannot be read
 */
export async function readNotes(
  values: readonly string[],
  warn: (message: string) => void,
): Promise<Record<string, string>> {
  const notes = new Map<string, string>();
  for (const value of values) {
    const [, language = '', rest = value] = LANGUAGE.exec(value) ?? [];
    if (notes.has(language))
      throw new TsbuilderError('TSB_USAGE', `notes are given twice for the language "${language}"`);
    notes.set(language, await textOf(rest, warn));
  }
  return Object.fromEntries(notes);
}

/** One word, or a line that ends as names of text files do. */
function looksLikeFile(text: string): boolean {
  return /^(?!https?:\/\/)(?:\S+|[^\n]+\.(?:txt|md|html?))$/i.test(text);
}

async function textOf(value: string, warn: (message: string) => void): Promise<string> {
  try {
    return (await readFile(value, 'utf8')).replaceAll('\r\n', '\n').trimEnd();
  } catch (error) {
    if (['ENOENT', 'ENAMETOOLONG', 'ENOTDIR'].includes(errnoOf(error) ?? '') || value.includes('\0')) {
      if (looksLikeFile(value)) warn(`there is no file ${value}: these words themselves become the notes`);
      return value;
    }
    throw new TsbuilderError('TSB_IO', `${value}: the notes cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
