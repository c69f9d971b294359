import type { TsbuilderError } from '../errors.js';
import { resolveBeside } from './index-location.js';
import { type Field, type Section, type TextOrigin, indexError } from './index-lexer.js';
import { printable } from '../io/printable.js';

/** The fields of one section, looked up by key, with errors that name the place. */
export class EntryFields {
  private readonly byKey = new Map<string, Field>();

  /** @throws TSB_INDEX_INVALID when a field appears twice in the section */
  constructor(
    private readonly section: Section,
    private readonly origin: TextOrigin,
  ) {
    for (const field of section.fields) {
      const id = fieldId(field.key, field.subkey);
      const first = this.byKey.get(id);
      if (first) {
        const message = `field ${id} appears again in [${section.name}]; it is already in line ${first.at.line}`;
        throw indexError('TSB_INDEX_INVALID', origin, { ...field.at, message });
      }
      this.byKey.set(id, field);
    }
  }

  /** All fields with this key, whatever their subkey. */
  all(key: string): Field[] {
    return this.section.fields.filter((field) => field.key === key);
  }

  /** The value as it is, if the field is there and not empty. */
  text(key: string, subkey?: string): string | undefined {
    const value = this.byKey.get(fieldId(key, subkey))?.value;
    return value === '' ? undefined : value;
  }

  /** The value if the field is there. @throws TSB_INDEX_INVALID unless it matches `pattern`; `what` says what is expected */
  matching(key: string, pattern: RegExp, what: string): string | undefined {
    return this.check(this.byKey.get(key), pattern, what);
  }

  /** A checksum in lower case, if the field is there. @throws TSB_INDEX_INVALID unless it has `digits` hex digits */
  checksum(key: string, subkey: string | undefined, digits: number): string | undefined {
    const pattern = new RegExp(`^[0-9a-f]{${digits}}$`, 'i');
    const field = this.byKey.get(fieldId(key, subkey));
    return this.check(field, pattern, `${digits} hex digits`)?.toLowerCase();
  }

  /** A whole decimal number, if the field is there. @throws TSB_INDEX_INVALID when it is not in `min`..2^53-1 */
  integer(key: string, min: number): number | undefined {
    const what = `a decimal number of bytes from ${min} to ${Number.MAX_SAFE_INTEGER}`;
    const text = this.matching(key, /^\d{1,16}$/, what);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < min) throw this.invalid(key, `must be ${what}, not ${text}`);
    return value;
  }

  /** `true` or `false`; false when the field is not there. @throws TSB_INDEX_INVALID for anything else */
  flag(key: string): boolean {
    return this.matching(key, /^(?:true|false)$/, 'true or false') === 'true';
  }

  /** The location that a relative path names, if the field is there. @throws TSB_INDEX_INVALID when it could lead elsewhere */
  location(key: string): string | undefined {
    const field = this.byKey.get(key);
    if (!field) return undefined;
    try {
      return resolveBeside(this.origin.url, field.value);
    } catch (error) {
      throw this.invalid(key, (error as TsbuilderError).message);
    }
  }

  /** `value`, which the section must have. @throws TSB_INDEX_INVALID when it is undefined */
  required<T>(key: string, value: T | undefined): T {
    if (value !== undefined) return value;
    const message = `[${this.section.name}] has no ${key}=`;
    throw indexError('TSB_INDEX_INVALID', this.origin, { ...this.section.at, message });
  }

  /** An error at the value of the field, or at the section's header when it is not there. */
  invalid(key: string, message: string): TsbuilderError {
    const at = this.byKey.get(key)?.valueAt ?? this.section.at;
    return indexError('TSB_INDEX_INVALID', this.origin, {
      ...at,
      message: `${key} of [${this.section.name}]: ${message}`,
    });
  }

  private check(field: Field | undefined, pattern: RegExp, what: string): string | undefined {
    if (!field || pattern.test(field.value)) return field?.value;
    const { key, subkey, value } = field;
    const message = `${fieldId(key, subkey)} of [${this.section.name}] must be ${what}, not "${excerpt(value)}"`;
    throw indexError('TSB_INDEX_INVALID', this.origin, { ...field.valueAt, message });
  }
}

function fieldId(key: string, subkey: string | undefined): string {
  return subkey === undefined ? key : `${key}[${subkey}]`;
}

function excerpt(value: string): string {
  return printable(value.length > 60 ? `${value.slice(0, 60)}...` : value);
}
