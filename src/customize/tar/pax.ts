import { BadHeader } from './header.js';

/** Extended header records by keyword; values are bytes. */
export type PaxRecords = Map<string, Buffer>;

/** A length in a record has at most this many digits. */
const MAX_DIGITS = 10;

/**
 * Reads the records `LENGTH KEYWORD=VALUE\n` of an extended header (POSIX pax, "pax Extended Header") into `records`. An
 * empty value takes back what an earlier header said.
 *
 * @throws BadHeader when they are malformed
 */
export function readPaxRecords(data: Buffer, records: PaxRecords): void {
  for (let at = 0; at < data.length;) {
    const blank = data.indexOf(0x20, at);
    const digits = blank < 0 || blank - at > MAX_DIGITS ? '' : data.toString('latin1', at, blank);
    const length = /^[1-9]\d*$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    const equals = data.indexOf(0x3d, blank);
    if (length === 0 || end > data.length || data[end - 1] !== 0x0a || equals < 0 || equals >= end) {
      throw new BadHeader('a malformed record in an extended header');
    }
    const keyword = data.toString('utf8', blank + 1, equals);
    const value = data.subarray(equals + 1, end - 1);
    if (value.length === 0) records.delete(keyword);
    else records.set(keyword, value);
    at = end;
  }
}

/**
 * A decimal number of a record, with its fraction cut off; undefined when there is no such record.
 *
 * @throws BadHeader when it is none
 */
export function paxNumber(records: PaxRecords, keyword: string): number | undefined {
  const text = records.get(keyword)?.toString('latin1');
  if (text === undefined) return undefined;
  const value = /^-?\d+(\.\d*)?$/.test(text) ? Math.floor(Number(text)) : NaN;
  if (!Number.isSafeInteger(value)) throw new BadHeader(`${keyword} in an extended header is no number`);
  return value;
}
