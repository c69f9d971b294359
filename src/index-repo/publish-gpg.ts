import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { type ExecOptions, type ExecResult, exec } from '../io/exec.js';
import { openScratchFolder } from '../io/scratch-folder.js';
import { readKeyring } from './keyring.js';
import { type IndexSigner, assertSigns } from './publish-signer.js';

/** How GnuPG gets at a secret key. */
export interface GpgOptions {
  /** A file with the passphrase. */
  readonly passphraseFile?: string | undefined;
  /** The passphrase, where there is no file with it. Default: gpg's agent knows it or asks for it. */
  readonly passphraseText?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A key whose secret half the user's GnuPG has: in its keyring, its agent or on a card.
 *
 * @param id fingerprint, key ID or user ID, as GnuPG takes it
 * @returns undefined when GnuPG has no such secret key
 * @throws TSB_KEY_INVALID when there are several, it cannot sign, has expired or is revoked, or the passphrase that is given is wrong;
 *   TSB_TOOL_MISSING
 */
export async function openGpgKey(id: string, options: GpgOptions = {}): Promise<IndexSigner | undefined> {
  const { signal } = options;
  const listed = await gpg(['--with-colons', '--list-secret-keys', '--', id], { signal, okStatus: [0, 2] });
  const fingerprints = [...listed.stdout.matchAll(/^sec:.*\n(?:fpr|fp2):(?:[^:]*:){8}([0-9A-F]{40,64}):/gm)];
  const fingerprint = fingerprints[0]?.[1];
  if (fingerprint === undefined) {
    assertUnknown(id, listed.stderr);
    return undefined;
  }
  if (fingerprints.length > 1) {
    const found = fingerprints.map((match) => match[1]).join(', ');
    throw new TsbuilderError('TSB_KEY_INVALID', `gpg: several secret keys are called ${id}: ${found}`, {
      hint: 'Give the fingerprint of one.',
    });
  }
  const exported = ['--armor', '--export-options', 'export-minimal', '--export', '--', fingerprint];
  const publicKey = (await gpg(exported, { signal })).stdout;
  const [key] = await readKeyring(Buffer.from(publicKey), `gpg --export ${fingerprint}`);
  if (key) await assertSigns(key, 'gpg');
  // With a `!` behind it, that very subkey is meant.
  const user = id.endsWith('!') ? id : fingerprint;
  const sign: IndexSigner['sign'] = (text, { expiresMs, signal: stop }) =>
    clearsign(text, { ...options, user, expiresMs, signal: stop });
  // That the passphrase is wrong is better known before any work than after it.
  if (options.passphraseFile !== undefined || options.passphraseText !== undefined)
    await sign('', { expiresMs: undefined, signal });
  return { fingerprint, publicKey, keptIn: 'gpg', sign };
}

/** Passes when GnuPG told of no key because there is none. */
function assertUnknown(id: string, stderr: string): void {
  const said = /^gpg: (?:Fatal: |keyblock resource |can't connect |no gpg-agent ).*$/m.exec(stderr)?.[0];
  if (said === undefined) return;
  throw new TsbuilderError('TSB_TOOL_FAILED', `gpg did not find the secret key ${id}: ${said}`, {
    hint: 'Its folder is $GNUPGHOME, else ~/.gnupg.',
  });
}

async function clearsign(
  text: string,
  options: GpgOptions & { user: string; expiresMs: number | undefined },
): Promise<string> {
  const { user, expiresMs, passphraseFile, passphraseText, signal } = options;
  const expiry = expiresMs === undefined ? '0' : `seconds=${Math.ceil(expiresMs / 1000)}`;
  await using folder = await openScratchFolder('sign');
  const path = join(folder.path, 'index');
  // gpg takes the last newline off; old readers want a blank line behind the last section.
  await writeFile(path, `${text}\n`);
  const fromFile = passphraseFile === undefined ? [] : ['--passphrase-file', passphraseFile];
  const input =
    passphraseFile === undefined && passphraseText !== undefined ? `${passphraseText}\n` : undefined;
  const given = input === undefined ? fromFile : ['--passphrase-fd', '0'];
  const passphrase = given.length > 0 ? ['--pinentry-mode', 'loopback', ...given] : [];
  const args = [
    ...['--status-fd', '2', '--digest-algo', 'SHA512', '--default-sig-expire', expiry],
    ...passphrase,
    ...['--local-user', user, '--output', '-', '--clearsign', '--', path],
  ];
  const { status, stdout, stderr } = await gpg(args, { input, signal, okStatus: [0, 2] });
  if (status === 0 && /^\[GNUPG:\] SIG_CREATED C /m.test(stderr)) return stdout;
  throw notSigned(user, stderr);
}

/** The codes of libgpg-error are the lower 16 bits of what GnuPG tells. */
const BAD_PASSPHRASE = 11;

function notSigned(user: string, stderr: string): TsbuilderError {
  const failure = /^\[GNUPG:\] FAILURE sign (\d+)$/m.exec(stderr)?.[1];
  if (failure !== undefined && (Number(failure) & 0xffff) === BAD_PASSPHRASE)
    return new TsbuilderError(
      'TSB_KEY_INVALID',
      `gpg key ${user}: cannot be used to sign: the passphrase is wrong`,
    );
  const said = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('[GNUPG:]'));
  return new TsbuilderError('TSB_TOOL_FAILED', `gpg did not sign with key ${user}: ${said.join('; ')}`, {
    hint: 'Where its agent cannot ask for the passphrase: --passphrase-file FILE, or TSBUILDER_PASSPHRASE.',
  });
}

function gpg(args: readonly string[], options: ExecOptions): Promise<ExecResult> {
  return exec('gpg', ['--batch', '--no-tty', '--quiet', ...args], { ...options, debianPackage: 'gnupg' });
}
