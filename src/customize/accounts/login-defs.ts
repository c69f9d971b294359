import { MAX_ID } from './passwd.js';

/** What /etc/login.defs says about new accounts; the names are those of login.defs(5). */
export interface LoginDefs {
  readonly uidMin: number;
  readonly uidMax: number;
  readonly gidMin: number;
  readonly gidMax: number;
  readonly subUidMin: number;
  readonly subUidMax: number;
  readonly subUidCount: number;
  readonly subGidMin: number;
  readonly subGidMax: number;
  readonly subGidCount: number;
  /** Mode of a new home folder. */
  readonly homeMode: number;
  /** For shadow(5): days as text, empty where nothing is said. */
  readonly passMinDays: string;
  readonly passMaxDays: string;
  readonly passWarnAge: string;
}

/** Reads login.defs(5); what it does not say is as shadow-utils has it, but a home folder is its user's alone (0700). */
export function parseLoginDefs(text: string): LoginDefs {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [key, value] = line.trim().split(/\s+/);
    if (key && value !== undefined && !key.startsWith('#')) values.set(key, value);
  }
  const number = (key: string, standard: number): number =>
    Math.min(parseNumber(values.get(key)) ?? standard, MAX_ID);
  const days = (key: string): string =>
    /^\d{1,5}$/.test(values.get(key) ?? '') ? (values.get(key) ?? '') : '';
  return {
    uidMin: number('UID_MIN', 1000),
    uidMax: number('UID_MAX', 60000),
    gidMin: number('GID_MIN', 1000),
    gidMax: number('GID_MAX', 60000),
    subUidMin: number('SUB_UID_MIN', 100000),
    subUidMax: number('SUB_UID_MAX', 600100000),
    subUidCount: number('SUB_UID_COUNT', 65536),
    subGidMin: number('SUB_GID_MIN', 100000),
    subGidMax: number('SUB_GID_MAX', 600100000),
    subGidCount: number('SUB_GID_COUNT', 65536),
    homeMode: number('HOME_MODE', 0o700) & 0o777,
    passMinDays: days('PASS_MIN_DAYS'),
    passMaxDays: days('PASS_MAX_DAYS'),
    passWarnAge: days('PASS_WARN_AGE'),
  };
}

/** Numbers are decimal, octal behind a 0 or hexadecimal behind 0x. */
function parseNumber(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^0[0-7]{1,11}$/.test(text)) return Number.parseInt(text, 8);
  return /^(\d{1,10}|0x[0-9a-f]{1,8})$/i.test(text) ? Number(text) : undefined;
}
