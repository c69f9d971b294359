import { Flags } from '@oclif/core';
import { TsbuilderError } from '../errors.js';
import { durationFlag, parseDuration } from '../flags.js';
import type { Progress } from '../progress.js';
import type { SignerRequest } from '../publish/repo/open-signers.js';
import { passphraseFrom } from './passphrase.js';

/** Which key signs: shared by the commands that write a repository. */
export const signerFlags = {
  key: Flags.string({
    helpValue: 'FILE',
    multiple: true,
    multipleNonGreedy: true,
    description: 'file with the secret key (default: the one that repo init made, or what GnuPG has)',
    helpGroup: 'SIGNING',
  }),
  'gpg-key': Flags.string({
    helpValue: 'ID',
    multiple: true,
    multipleNonGreedy: true,
    description: 'key of your GnuPG, whose agent asks for the passphrase',
    helpGroup: 'SIGNING',
  }),
  'passphrase-file': Flags.string({
    helpValue: 'FILE',
    description:
      'file with the passphrase of the key (default: $TSBUILDER_PASSPHRASE, or asked on a terminal)',
    helpGroup: 'SIGNING',
  }),
  expires: durationFlag({
    parse: (text) => Promise.resolve(parseExpiry(text)),
    description: 'how long the signature holds (default: as long as the key)',
    helpGroup: 'SIGNING',
  }),
};

/** A signature says in 32 bits for how many seconds it holds, and 0 means for ever (RFC 9580 section 5.2.3.18). */
function parseExpiry(text: string): number {
  const ms = parseDuration(text);
  if (ms > 0 && ms < 2 ** 32 * 1000) return ms;
  throw new TsbuilderError('TSB_USAGE', `${JSON.stringify(text)} is no time for which a signature can hold`, {
    hint: 'Write at least 1s and at most 49710d, or leave it out: the signature then holds as long as the key.',
  });
}

/** `--keep N`: how many former revisions stay. */
export const keepFlag = Flags.integer({
  helpValue: 'N',
  min: 0,
  max: 1000,
  default: 1,
  description: 'former revisions of each template that stay, for clients that still hold an older index',
});

/** What the flags of `signerFlags` ask for. */
export function signerRequest(
  flags: {
    readonly key: string[] | undefined;
    readonly 'gpg-key': string[] | undefined;
    readonly 'passphrase-file': string | undefined;
    readonly expires: number | undefined;
  },
  { progress, signal }: { readonly progress: Progress; readonly signal: AbortSignal },
): SignerRequest {
  const passphraseFile = flags['passphrase-file'];
  return {
    keys: flags.key ?? [],
    gpgKeys: flags['gpg-key'] ?? [],
    passphraseFile,
    passphraseText: process.env['TSBUILDER_PASSPHRASE'],
    passphrase: passphraseFrom(passphraseFile, signal),
    expiresMs: flags.expires,
    warn: (message) => progress.warn(message),
    signal,
  };
}
