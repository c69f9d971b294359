import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exec } from '../../src/io/exec.js';
import { openNbdTls } from '../../src/nbd/tls.js';
import { readTlsFiles } from '../../src/nbd/tls-files.js';
import { silentProgress } from '../../src/progress.js';
import { scratchFolder } from '../helpers/scratch-folder.js';
import { makeTlsFiles } from '../helpers/tls-files.js';
import { makeTestCa } from '../helpers/test-ca.js';

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let good: string;
let otherKey: Buffer;
let encryptedKey: Buffer;

beforeAll(async () => {
  folder = await scratchFolder();
  const files = await makeTlsFiles(folder.path);
  good = files.server;
  const clientKey = join(files.client, 'client-key.pem');
  otherKey = await readFile(clientKey);
  const encrypted = join(folder.path, 'encrypted.pem');
  await exec('openssl', ['pkey', '-in', clientKey, '-aes256', '-passout', 'pass:secret', '-out', encrypted]);
  encryptedKey = await readFile(encrypted);
});
afterAll(() => folder[Symbol.asyncDispose]());

/** A folder like the good one, but for one file. */
async function withFile(name: string, change: (pem: Buffer) => Buffer | undefined): Promise<string> {
  const copy = join(folder.path, 'changed');
  await rm(copy, { recursive: true, force: true });
  await cp(good, copy, { recursive: true });
  const before = await readFile(join(copy, name)).catch(() => Buffer.alloc(0));
  const after = change(before);
  await (after ? writeFile(join(copy, name), after) : rm(join(copy, name)));
  return copy;
}

const EMPTY = Buffer.alloc(0);
const cut = (pem: Buffer): Buffer => pem.subarray(0, pem.length - 60);
const garble = (pem: Buffer): Buffer => Buffer.from(pem.toString().replace(/-----\n.{8}/, '-----\nAAAAAAAA'));

interface Case {
  readonly name: string;
  readonly what: string;
  readonly change: (pem: Buffer) => Buffer | undefined;
  readonly problem: RegExp;
}

const CASES: readonly Case[] = [
  ...['ca-cert.pem', 'server-cert.pem'].flatMap((name) => [
    { name, what: 'missing', change: () => undefined, problem: /cannot be read/ },
    { name, what: 'empty', change: () => EMPTY, problem: /holds no certificate: it is empty/ },
    { name, what: 'binary', change: () => Buffer.from([0x30, 0x82]), problem: /it is no PEM text/ },
    { name, what: 'cut off', change: cut, problem: /certificate 1 in it is damaged/ },
    { name, what: 'garbled', change: garble, problem: /certificate 1 in it is damaged/ },
    {
      name,
      what: 'a key',
      change: () => otherKey,
      problem: /no certificate: its first part is: .*PRIVATE KEY/,
    },
    {
      name,
      what: 'damaged behind a good one',
      change: (pem: Buffer) => Buffer.concat([pem, garble(pem)]),
      problem: /certificate 2 in it is damaged/,
    },
  ]),
  ...[
    { what: 'missing', change: () => undefined, problem: /cannot be read/ },
    { what: 'empty', change: () => EMPTY, problem: /holds no private key: it is empty/ },
    { what: 'cut off', change: cut, problem: /the private key in it is damaged/ },
    { what: 'encrypted', change: () => encryptedKey, problem: /the key is encrypted/ },
    {
      what: "another's",
      change: () => otherKey,
      problem: /is not the key of the certificate in server-cert\.pem/,
    },
  ].map((part) => ({ name: 'server-key.pem', ...part })),
  { name: 'ca-crl.pem', what: 'none', change: () => otherKey, problem: /no list of revoked certificates/ },
];

describe('readTlsFiles', () => {
  it.each(CASES)(
    'names $name when it is $what, and says what is wrong',
    async ({ name, change, problem }) => {
      const changed = await withFile(name, change);
      const opening = openNbdTls(
        { kind: 'certificates', folder: changed, verifyPeer: true },
        { mode: 'require', progress: silentProgress },
      );
      await expect(opening).rejects.toMatchObject({
        code: 'TSB_TLS',
        message: expect.stringMatching(problem) as string,
        details: { path: join(changed, name) },
      });
      await expect(opening).rejects.toThrow(join(changed, name));
    },
  );

  it('warns of a certificate that has expired', async () => {
    const warnings: string[] = [];
    await readTlsFiles(good, (line) => warnings.push(line));
    expect(warnings).toEqual([]);
    const expired = makeTestCa(folder.path).issue('expired', { names: 'DNS:localhost', days: -1 });
    const old = await withFile('server-cert.pem', () => expired.cert);
    await writeFile(join(old, 'server-key.pem'), expired.key);
    await readTlsFiles(old, (line) => warnings.push(line));
    expect(warnings).toEqual([
      expect.stringMatching(/server-cert\.pem: expired on .*: clients will not accept it/),
    ]);
  });
});
