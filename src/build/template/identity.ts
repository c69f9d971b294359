import { createHash } from 'node:crypto';
import { TsbuilderError } from '../../errors.js';

/** What is chosen at random elsewhere and derived here, so that the same recipe at the same time gives the same bytes. */
export interface TemplateIdentity {
  /** Seconds since 1970: every time stamp in the template, unless something is older. */
  readonly epoch: number;
  /** A UUID (RFC 9562, version 8) that belongs to `purpose` in this template. */
  uuid(purpose: string): string;
  /** An id as LVM writes it: 32 letters and digits in seven groups. */
  lvmId(purpose: string): string;
  /** Eight upper-case hex digits: the volume id of a FAT filesystem. */
  volumeId(purpose: string): string;
}

/** The identities of a template made at `epoch` from a recipe with this text. */
export function templateIdentity(text: string, epoch: number): TemplateIdentity {
  const derive = (purpose: string): Buffer =>
    createHash('sha256')
      .update(JSON.stringify(['tsbuilder template', text, epoch, purpose]))
      .digest();
  return {
    epoch,
    uuid: (purpose) => formatUuid(derive(purpose)),
    lvmId: (purpose) => formatLvmId(derive(purpose)),
    volumeId: (purpose) => derive(purpose).toString('hex', 0, 4).toUpperCase(),
  };
}

/**
 * The time that goes into a template: SOURCE_DATE_EPOCH (reproducible-builds.org) from `env`, else `now` in seconds.
 *
 * @throws TSB_USAGE when the variable is not a number of seconds
 */
export function templateEpoch(
  env: Readonly<Record<string, string | undefined>> = process.env,
  now: number = Date.now(),
): number {
  const text = env['SOURCE_DATE_EPOCH'];
  if (text === undefined || text === '') return Math.floor(now / 1000);
  // Beyond 2^32 ext4's and FAT's time fields end.
  if (!/^\d{1,10}$/.test(text) || Number(text) >= 2 ** 32) {
    throw new TsbuilderError(
      'TSB_USAGE',
      `SOURCE_DATE_EPOCH is ${JSON.stringify(text)}, not a number of seconds since 1970`,
    );
  }
  return Number(text);
}

function formatLvmId(bytes: Buffer): string {
  const digits = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
  const text = [...bytes].map((byte) => digits[byte % digits.length]).join('');
  return text.replace(/^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-$5-$6-');
}

function formatUuid(bytes: Buffer): string {
  bytes.writeUInt8(((bytes[6] ?? 0) & 0x0f) | 0x80, 6);
  bytes.writeUInt8(((bytes[8] ?? 0) & 0x3f) | 0x80, 8);
  return bytes.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
