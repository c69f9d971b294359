import { readFile } from 'node:fs/promises';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';

const LANGUAGE = /^([a-z]{2,3}(?:_[A-Z]{2})?)=([\s\S]*)$/;

/**
 * Notes by language, from `FILE`, `TEXT`, `de=FILE` or `de=TEXT`; '' is the language of what has none. What is no file is text.
 *
 * @throws TSB_USAGE when a language appears twice, TSB_IO when a file cannot be read
 */
export async function readNotes(values: readonly string[]): Promise<Record<string, string>> {
  const notes = new Map<string, string>();
  for (const value of values) {
    const [, language = '', rest = value] = LANGUAGE.exec(value) ?? [];
    if (notes.has(language))
      throw new TsbuilderError('TSB_USAGE', `notes are given twice for the language "${language}"`);
    notes.set(language, await textOf(rest));
  }
  return Object.fromEntries(notes);
}

async function textOf(value: string): Promise<string> {
  try {
    return (await readFile(value, 'utf8')).replaceAll('\r\n', '\n').trimEnd();
  } catch (error) {
    if (['ENOENT', 'ENAMETOOLONG', 'ENOTDIR'].includes(errnoOf(error) ?? '') || value.includes('\0'))
      return value;
    throw new TsbuilderError('TSB_IO', `${value}: the notes cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
