import type { BigIntStats, Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { TsbuilderError, errnoOf, messageOf } from '../../errors.js';

/** The error for a file of this machine that cannot be read. */
export function hostError(path: string, error: unknown): TsbuilderError {
  const missing = errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR';
  const known = errnoOf(error) === 'EISDIR' ? 'a folder, not a file' : messageOf(error);
  const text = missing ? 'no such file or folder on this machine' : known;
  const code = missing ? 'TSB_NOT_FOUND' : 'TSB_IO';
  return new TsbuilderError(code, `${path}: ${text}`, { details: { path }, cause: error });
}

/** What a path of this machine leads to. @throws TSB_NOT_FOUND, TSB_IO */
export async function statHost(path: string): Promise<Stats> {
  try {
    return await stat(path);
  } catch (error) {
    throw hostError(path, error);
  }
}

/** Major and minor number of a device, as the C library packs them into 64 bits (gnu_dev_makedev). */
export function deviceNumbers({ rdev }: Pick<BigIntStats, 'rdev'>): { major: number; minor: number } {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n);
  return { major: Number(major), minor: Number(minor) };
}
