import { Flags } from '@oclif/core';
import { TsbuilderError } from './errors.js';
import type { XzCheck } from './xz/encode-options.js';

/** A size as the user wrote it: absolute bytes, or bytes to add to the template's size. */
export interface SizeArgument {
  readonly kind: 'absolute' | 'relative';
  readonly bytes: number;
}

const SIZE = /^(\+?)(\d+(?:\.\d+)?)\s*(?:(b)|([kmgtp])(?:ib)?)?$/i;
const EXPONENT: Readonly<Record<string, number>> = { k: 1, m: 2, g: 3, t: 4, p: 5 };

/**
 * Reads `10G`, `10GiB`, `1.5T`, `512M`, `4096b`, `10737418240` or, with a leading plus, an increment such as `+2G`.
 * Units are powers of 1024, in either case.
 *
 * @throws TSB_USAGE when it is no size, is zero, or does not fit into 2^53 bytes
 */
export function parseSize(text: string): SizeArgument {
  const match = SIZE.exec(text.trim());
  if (!match) {
    const decimal = /^\+?\d+(\.\d+)?\s*[kmgtp]b$/i.test(text.trim());
    throw new TsbuilderError('TSB_USAGE', `${JSON.stringify(text)} is not a size`, {
      hint: decimal
        ? 'Write G or GiB for 1024-based units; GB would be ambiguous.'
        : 'Write a number with an optional unit: 10G, 1.5T, 512MiB, +2G, or plain bytes.',
    });
  }
  const bytes = Math.floor(Number(match[2]) * 1024 ** (EXPONENT[match[4]?.toLowerCase() ?? ''] ?? 0));
  if (!Number.isSafeInteger(bytes) || bytes <= 0) {
    throw new TsbuilderError('TSB_USAGE', `${JSON.stringify(text)} is not between 1 byte and 8 PiB`);
  }
  return { kind: match[1] === '+' ? 'relative' : 'absolute', bytes };
}

/** The size in bytes that `argument` asks for, given the size of the template. */
export function resolveSize(argument: SizeArgument, templateSize: number): number {
  return argument.kind === 'absolute' ? argument.bytes : templateSize + argument.bytes;
}

/**
 * Reads a duration such as `30d`, `12h`, `45m` or `90s`.
 *
 * @returns milliseconds
 * @throws TSB_USAGE when it is no duration, or does not fit into 2^53 milliseconds
 */
export function parseDuration(text: string): number {
  const match = /^(\d+)\s*([smhdw])$/i.exec(text.trim());
  const unit = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }[match?.[2]?.toLowerCase() ?? ''];
  if (!match || unit === undefined) {
    throw new TsbuilderError('TSB_USAGE', `${JSON.stringify(text)} is not a duration`, {
      hint: 'Write a whole number with a unit: 90s, 45m, 12h, 30d or 4w.',
    });
  }
  const milliseconds = Number(match[1]) * unit * 1000;
  if (!Number.isSafeInteger(milliseconds)) {
    throw new TsbuilderError('TSB_USAGE', `${JSON.stringify(text)} is too long a time`);
  }
  return milliseconds;
}

/** An oclif flag whose value is a size. */
export const sizeFlag = Flags.custom<SizeArgument>({
  helpValue: 'SIZE',
  parse: (text) => Promise.resolve(parseSize(text)),
});

/** An oclif flag whose value is a duration in milliseconds. */
export const durationFlag = Flags.custom<number>({
  helpValue: 'DURATION',
  parse: (text) => Promise.resolve(parseDuration(text)),
});

/** `--jobs N`: how many blocks are decoded at once. */
export const jobsFlag = Flags.integer({
  helpValue: 'N',
  min: 1,
  max: 256,
  description: 'decode N blocks at once (default: one more than CPUs)',
});

/** `--jobs N`: how many blocks are packed at once. */
export const packJobsFlag = Flags.integer({
  helpValue: 'N',
  min: 1,
  max: 256,
  aliases: ['threads'],
  description: 'pack N blocks at once (default: one per CPU, fewer where memory is short)',
});

const XZ_CHECKS = ['none', 'crc32', 'crc64', 'sha256'] as const satisfies readonly XzCheck[];

/** `--check`: what each block of an xz file that is made is checked by. */
export const xzCheckFlag = Flags.option({
  options: XZ_CHECKS,
  description: 'integrity check of each block',
  default: 'crc64',
})();

/** Where templates come from and what is trusted: shared by every command that reads indexes. */
export const sourceFlags = {
  arch: Flags.string({
    helpValue: 'ARCH',
    description: 'architecture (default: of this machine)',
    helpGroup: 'SOURCE',
  }),
  source: Flags.string({
    helpValue: 'URL',
    multiple: true,
    multipleNonGreedy: true,
    description: 'index to use instead of the configured sources, or the name of one of them (repeatable)',
    helpGroup: 'SOURCE',
  }),
  fingerprint: Flags.string({
    helpValue: 'FP',
    multiple: true,
    multipleNonGreedy: true,
    description: 'fingerprint of the key that must have signed: one for all, or one per --source',
    helpGroup: 'SOURCE',
  }),
  key: Flags.string({
    helpValue: 'FILE',
    multiple: true,
    multipleNonGreedy: true,
    description: 'public key file to trust for the --source indexes',
    helpGroup: 'SOURCE',
  }),
  'check-signature': Flags.boolean({
    allowNo: true,
    default: true,
    description: 'verify the signature of indexes (--no-check-signature trusts anyone)',
    helpGroup: 'SOURCE',
  }),
  'allow-rollback': Flags.boolean({
    description: 'accept an index older than the one seen before',
    helpGroup: 'SOURCE',
  }),
  cache: Flags.string({
    helpValue: 'DIR',
    description: 'folder of the template cache',
    helpGroup: 'SOURCE',
  }),
  offline: Flags.boolean({ description: 'use only what is on this machine', helpGroup: 'SOURCE' }),
};

/**
 * What an image file is, where its content must not decide. It is called `--input-format` everywhere, and `--format` too in commands
 * that write no image.
 */
export const inputFormatFlag = Flags.option({
  options: ['raw', 'xz', 'gzip', 'zstd', 'qcow2'] as const,
  description:
    'take the image file to be of this format, and a disk compressed in it to be raw (default: what it looks like)',
});

/** How an image is opened that may be a file, a URL or a template: shared by the commands that copy or serve one. */
export const imageFlags = {
  connections: Flags.integer({
    helpValue: 'N',
    min: 1,
    max: 64,
    description: 'connections to an HTTP server',
  }),
  jobs: jobsFlag,
  ...sourceFlags,
  'require-verified': Flags.boolean({
    description: 'use only what is verified against a signed index before it is used',
    helpGroup: 'SOURCE',
  }),
};

/** Where decoded content is kept while an image is served. */
export const blockCacheFlags = {
  'cache-size': sizeFlag({
    description: 'memory for decoded content, shared by all that is served (default: 25% of memory)',
  }),
  'cache-file': Flags.string({
    helpValue: 'FILE',
    description: 'keep decoded content that memory has no room for in a temporary file of this name',
  }),
};

/** How `ls` and `cat` open an image. */
export const lookFlags = {
  partition: Flags.integer({ char: 'p', helpValue: 'N', min: 0, description: 'partition to look into' }),
  format: inputFormatFlag({ aliases: ['input-format'] }),
  'require-verified': imageFlags['require-verified'],
  jobs: jobsFlag,
  ...sourceFlags,
};
