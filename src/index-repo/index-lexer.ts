import { TsbuilderError } from '../errors.js';
import { redactUrl } from '../io/redact-url.js';
import { printable } from '../io/printable.js';

/** A place in an index, both counted from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** One `key=value` or `key[subkey]=value`, continuation lines joined by newlines. */
export interface Field {
  readonly key: string;
  readonly subkey: string | undefined;
  readonly value: string;
  /** Where the key begins. */
  readonly at: Position;
  /** Where the value begins. */
  readonly valueAt: Position;
}

/** One `[name]` and the fields under it, in order. */
export interface Section {
  readonly name: string;
  readonly at: Position;
  readonly fields: readonly Field[];
}

/** What is being read, for messages. */
export interface TextOrigin {
  /** Path or URL. */
  readonly url: string;
  /** Number of the text's first line in the file it came from. Default 1. */
  readonly firstLine?: number | undefined;
}

const LIMITS = {
  bytes: 8 * 1024 * 1024,
  line: 64 * 1024,
  sections: 20_000,
  fields: 1000,
  blanks: 1000,
} as const;

/** The largest index, in bytes, that is read. */
export const MAX_INDEX_BYTES: number = LIMITS.bytes;

const SECTION = /^\[([A-Za-z0-9._-]+)\]$/;
const FIELD = /^([A-Za-z0-9_.]+)(?:\[([A-Za-z0-9_,.]+)\])?=/;

/** A TSB_INDEX_SYNTAX or TSB_INDEX_INVALID error with the place in its message and its details. */
export function indexError(
  code: 'TSB_INDEX_SYNTAX' | 'TSB_INDEX_INVALID',
  origin: TextOrigin,
  at: Position & { readonly message: string },
): TsbuilderError {
  const url = printable(redactUrl(origin.url));
  return new TsbuilderError(code, `${url}:${at.line}:${at.column}: ${at.message}`, {
    details: { url, line: at.line, column: at.column },
  });
}

interface OpenField extends Omit<Field, 'value'> {
  readonly lines: string[];
}

interface OpenSection extends Omit<Section, 'fields'> {
  readonly fields: OpenField[];
}

/**
 * Splits the text of an index, or of a source's .conf file, into sections: the lexical grammar of virt-builder 1.48,
 * but blank lines may stand anywhere, the last line needs no newline, lines may end in CRLF, and blanks at the end of a
 * line do not count (a clearsigned text has lost them anyway).
 *
 * @throws TSB_INDEX_SYNTAX with the URL, line and column
 */
export function readSections(text: string, origin: TextOrigin): Section[] {
  return new Lexer(origin).run(text);
}

class Lexer {
  private readonly sections: OpenSection[] = [];
  private field: OpenField | undefined;
  private pendingBlanks = 0;
  private line: number;

  constructor(private readonly origin: TextOrigin) {
    this.line = origin.firstLine ?? 1;
  }

  run(text: string): Section[] {
    if (text.length > LIMITS.bytes) throw this.error(1, `the text is longer than ${LIMITS.bytes} characters`);
    for (const line of text.split('\n')) {
      this.accept(withoutBlanksAtEnd(line));
      this.line += 1;
    }
    return this.sections.map(closeSection);
  }

  private accept(line: string): void {
    if (line.startsWith('\uFEFF')) throw this.error(1, 'a byte order mark');
    const nul = line.indexOf('\0');
    if (nul >= 0) throw this.error(nul + 1, 'a NUL character');
    if (line.length > LIMITS.line)
      throw this.error(LIMITS.line + 1, `a line of more than ${LIMITS.line} characters`);
    // A blank line ends a value, unless more of the value follows: then it was an empty line of the value.
    if (line === '') this.pendingBlanks += 1;
    else if (line.startsWith('#')) return;
    else if (/^[ \t]/.test(line)) this.continuation(line.slice(1));
    else this.begin(line);
  }

  private continuation(text: string): void {
    if (!this.field) throw this.error(1, 'a continuation line that continues no field');
    if (this.pendingBlanks > LIMITS.blanks)
      throw this.error(1, `more than ${LIMITS.blanks} blank lines inside a value`);
    this.field.lines.push(...Array<string>(this.pendingBlanks).fill(''), text);
    this.pendingBlanks = 0;
  }

  private begin(line: string): void {
    this.pendingBlanks = 0;
    this.field = undefined;
    if (line.startsWith('[')) this.beginSection(line);
    else this.beginField(line);
  }

  private beginSection(line: string): void {
    const name = SECTION.exec(line)?.[1];
    if (name === undefined) {
      const column = 1 + (/^\[[A-Za-z0-9._-]*\]?/.exec(line)?.[0].length ?? 0);
      throw this.error(column, 'a section header must be [NAME], NAME made of A-Z a-z 0-9 . _ -');
    }
    if (this.sections.length >= LIMITS.sections) throw this.error(1, `more than ${LIMITS.sections} sections`);
    this.sections.push({ name, at: { line: this.line, column: 1 }, fields: [] });
  }

  private beginField(line: string): void {
    const match = FIELD.exec(line);
    if (!match) {
      const column = 1 + (/^[A-Za-z0-9_.]*(?:\[(?:[A-Za-z0-9_,.]+\]?)?)?/.exec(line)?.[0].length ?? 0);
      throw this.error(column, 'expected [NAME], key=value, key[subkey]=value, a comment or a blank line');
    }
    const section = this.sections.at(-1);
    if (!section) throw this.error(1, 'a field before the first [NAME]');
    if (section.fields.length >= LIMITS.fields)
      throw this.error(1, `more than ${LIMITS.fields} fields in a section`);
    const [head, key = '', subkey] = match;
    this.field = {
      key,
      subkey,
      lines: [line.slice(head.length)],
      at: { line: this.line, column: 1 },
      valueAt: { line: this.line, column: head.length + 1 },
    };
    section.fields.push(this.field);
  }

  private error(column: number, message: string): TsbuilderError {
    return indexError('TSB_INDEX_SYNTAX', this.origin, { line: this.line, column, message });
  }
}

/** A loop, because the obvious regular expression takes quadratic time on a long run of blanks that is not at the end. */
function withoutBlanksAtEnd(line: string): string {
  let end = line.length;
  while (end > 0 && ' \t\r'.includes(line.charAt(end - 1))) end -= 1;
  return line.slice(0, end);
}

function closeSection(section: OpenSection): Section {
  const fields = section.fields.map(({ lines, ...field }) => ({ ...field, value: lines.join('\n') }));
  return { ...section, fields };
}
