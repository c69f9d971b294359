import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as openpgp from 'openpgp';
import type { ServedFile, TestServer } from './http-server.js';

const DAY = 86_400_000;

/** A moment some days before now. */
export function daysAgo(days: number): Date {
  return new Date(Date.now() - days * DAY);
}

/** A key that signs indexes. */
export interface IndexKey {
  /** Path of the public half, armoured. */
  readonly file: string;
  readonly fingerprint: string;
  /** The text clearsigned; by default a day ago. */
  sign(text: string, date?: Date): Promise<string>;
  /** The text clearsigned ten days ago with a signature that holds for two days. */
  signBriefly(text: string): Promise<string>;
}

/** Makes a key in `folder`, 30 days old, and valid for `validDays` if given. */
export async function makeIndexKey(
  folder: string,
  options: { name?: string; validDays?: number } = {},
): Promise<IndexKey> {
  const { name = 'key', validDays } = options;
  const { privateKey, publicKey } = await openpgp.generateKey({
    type: 'ecc',
    curve: 'ed25519Legacy',
    userIDs: [{ name: 'test' }],
    subkeys: [],
    date: daysAgo(30),
    keyExpirationTime: validDays === undefined ? 0 : (validDays * DAY) / 1000,
    format: 'object',
  });
  const file = join(folder, `${name}.asc`);
  await writeFile(file, publicKey.armor());
  return {
    file,
    fingerprint: publicKey.getFingerprint(),
    async sign(text, date = daysAgo(1)) {
      const message = await openpgp.createCleartextMessage({ text });
      return openpgp.sign({ message, signingKeys: privateKey, date });
    },
    async signBriefly(text) {
      const home = join(folder, `gnupg-${name}`);
      await mkdir(home, { mode: 0o700 });
      // GnuPG's agent lives for the length of the command only: it is told to end when its home goes.
      const gpg = (args: readonly string[], input: string): string =>
        execFileSync('gpg', ['--homedir', home, '--batch', '--quiet', ...args], { input, encoding: 'utf8' });
      gpg(['--import'], privateKey.armor());
      const day = daysAgo(10)
        .toISOString()
        .replace(/[-:]|\.\d+Z$/g, '');
      const signed = gpg(
        ['--faked-system-time', `${day}!`, '--default-sig-expire', '2d', '--clearsign'],
        text,
      );
      execFileSync('gpgconf', ['--homedir', home, '--kill', 'all']);
      return signed;
    },
  };
}

/** What an index says about a template: fields by name; undefined leaves one out. */
export type EntryFields = Readonly<Record<string, string | number | undefined>>;

/** An index with these templates; every one has the architecture of this machine. */
export function indexText(templates: Readonly<Record<string, EntryFields>>): string {
  const arch = { x64: 'x86_64', arm64: 'aarch64' }[process.arch as string] ?? process.arch;
  const sections = Object.entries(templates).map(([name, fields]) => {
    const all: EntryFields = { arch, ...fields };
    const lines = Object.entries(all).filter(([, value]) => value !== undefined);
    return [`[${name}]`, ...lines.map(([key, value]) => `${key}=${value}`)].join('\n');
  });
  return `${sections.join('\n\n')}\n`;
}

/** Serves `files` under `/repo/`; text is served as UTF-8. */
export function serve(
  server: TestServer,
  files: Readonly<Record<string, string | Uint8Array | ServedFile>>,
): void {
  for (const [name, file] of Object.entries(files)) {
    server.files[`/repo/${name}`] =
      typeof file === 'string'
        ? { data: Buffer.from(file) }
        : file instanceof Uint8Array
          ? { data: file }
          : file;
  }
}
