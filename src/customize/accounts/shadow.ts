import { addFields, changeFields, findFields } from './account-file.js';

/** One line of shadow(5), as far as it is written here. */
export interface ShadowEntry {
  readonly name: string;
  readonly password: string;
  /** Seconds since 1970: when the password was set. */
  readonly changed: number;
  /** Days; empty where the field is to be empty. */
  readonly minDays: string;
  readonly maxDays: string;
  readonly warnDays: string;
}

const SECONDS_PER_DAY = 86400;
const FIELDS = 9;

/**
 * A shadow file in which `name` has this password field, set at `changed` (seconds since 1970); a line is added where
 * there is none.
 */
export function setShadowPassword(
  text: string,
  name: string,
  entry: { password: string; changed: number },
): string {
  const day = dayField(entry.changed);
  if (!findFields(text, name)) return addShadow(text, { ...NO_AGING, name, ...entry });
  return changeFields(text, name, ([first = '', , , ...rest]) => {
    const fields = [first, entry.password, day, ...rest];
    return [...fields, ...Array<string>(Math.max(0, FIELDS - fields.length)).fill('')];
  });
}

const NO_AGING = { minDays: '', maxDays: '', warnDays: '' };

/** A shadow file with one more line. */
export function addShadow(text: string, entry: ShadowEntry): string {
  const { name, password, changed, minDays, maxDays, warnDays } = entry;
  return addFields(text, [name, password, dayField(changed), minDays, maxDays, warnDays, '', '', '']);
}

/** Day 0 would mean that the password must be changed at the next login: an empty field means that its age is not known. */
function dayField(seconds: number): string {
  const day = Math.floor(seconds / SECONDS_PER_DAY);
  return day > 0 ? String(day) : '';
}
