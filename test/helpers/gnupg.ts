import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './disk.js';

/** A key that GnuPG made, with its halves in files too. */
export interface GnupgKey {
  /** Upper-case hex. */
  readonly fingerprint: string;
  /** Paths of the halves, armoured. */
  readonly secret: string;
  readonly public: string;
}

/** What a key is like; by default it signs, does not expire, and has no passphrase. */
export interface GnupgKeyOptions {
  readonly passphrase?: string;
  /** `cert` makes a key that cannot sign texts. */
  readonly usage?: 'sign' | 'cert';
  /** How long it holds from the start of 2025, as gpg takes it. */
  readonly expires?: string;
  readonly revoked?: boolean;
}

/** A GnuPG home of its own. */
export interface Gnupg extends AsyncDisposable {
  readonly home: string;
  gpg(args: readonly string[], input?: string): string;
  makeKey(name: string, options?: GnupgKeyOptions): GnupgKey;
  /** Makes the agent forget passphrases. */
  forget(): void;
}

/** An empty GnuPG home, gone with its agent when it is disposed of. */
export async function newGnupg(): Promise<Gnupg> {
  // A short path: the agent listens on a socket in it.
  const home = await mkdtemp(join(tmpdir(), 'tsb-gpg-'));
  const gpg = (args: readonly string[], input = ''): string =>
    run('gpg', ['--homedir', home, '--batch', '--quiet', '--trust-model', 'always', ...args], input);
  const forget = (): void => void run('gpgconf', ['--homedir', home, '--kill', 'all']);
  return {
    home,
    gpg,
    forget,
    makeKey: (name, options = {}) => makeKey({ home, gpg }, name, options),
    async [Symbol.asyncDispose]() {
      forget();
      await rm(home, { recursive: true, force: true });
    },
  };
}

function makeKey(
  { home, gpg }: Pick<Gnupg, 'home' | 'gpg'>,
  name: string,
  { passphrase = '', usage = 'sign', expires = 'never', revoked = false }: GnupgKeyOptions,
): GnupgKey {
  const unlock = ['--pinentry-mode', 'loopback', '--passphrase', passphrase];
  gpg([
    ...unlock,
    '--faked-system-time',
    '20250101T000000',
    '--quick-gen-key',
    name,
    'ed25519',
    usage,
    expires,
  ]);
  const listed = gpg(['--with-colons', '--list-keys', '--', name]);
  const fingerprint = /^fpr:(?:[^:]*:){8}([0-9A-F]{40}):/m.exec(listed)?.[1] ?? '';
  if (revoked) {
    // GnuPG puts a colon in front of the armour, so that a certificate is not imported by mistake.
    const certificate = readFileSync(join(home, 'openpgp-revocs.d', `${fingerprint}.rev`), 'utf8');
    gpg(['--import'], certificate.replace(/^:-----/m, '-----'));
  }
  const [secret, open] = [join(home, `${name}-secret.asc`), join(home, `${name}.asc`)];
  writeFileSync(secret, gpg([...unlock, '--armor', '--export-secret-keys', fingerprint]));
  writeFileSync(open, gpg(['--armor', '--export', fingerprint]));
  return { fingerprint, secret, public: open };
}
