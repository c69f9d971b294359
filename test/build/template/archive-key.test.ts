import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as openpgp from 'openpgp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { archiveKeyOptions } from '../../../src/build/template/archive-key.js';
import type { TemplateContext } from '../../../src/build/template/context.js';
import { templateIdentity } from '../../../src/build/template/identity.js';
import { parseRecipe } from '../../../src/build/template/recipe.js';
import { exec } from '../../../src/io/exec.js';
import { silentProgress } from '../../../src/progress.js';
import { type TempFolder, run, tempFolder } from '../../helpers/disk-tools.js';
import { type TestServer, startTestServer } from '../../helpers/http-server.js';

const POOL = 'pool/main/k/keys/keys_1_all.deb';

let folder: TempFolder;
let server: TestServer;
let key: openpgp.PrivateKey;
let other: openpgp.PrivateKey;
let warnings: string[];

beforeEach(async () => {
  folder = tempFolder();
  server = await startTestServer();
  [key, other] = await Promise.all([newKey('archive'), newKey('other')]);
  warnings = [];
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

async function newKey(name: string): Promise<openpgp.PrivateKey> {
  const { privateKey } = await openpgp.generateKey({
    userIDs: [{ name }],
    date: new Date('2026-01-01T00:00:00Z'),
    format: 'object',
  });
  return privateKey;
}

const publicPart = (...keys: readonly openpgp.PrivateKey[]): Buffer =>
  Buffer.concat(keys.map((one) => one.toPublic().write()));

/** Where this machine would have the keyring; nothing is there at first. */
const ownKeyring = (): string => folder.file('own/archive.gpg');

function putOwn(...keys: readonly openpgp.PrivateKey[]): void {
  mkdirSync(dirname(ownKeyring()), { recursive: true });
  writeFileSync(ownKeyring(), publicPart(...keys));
}

/** A Debian package with `content` in the file `path`, and with `architecture: all`. */
function makePackage(name: string, path: string, content: Buffer | string): Buffer {
  const tree = folder.file(`${name}-package`);
  mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  const control = ['Version: 1', 'Architecture: all', 'Maintainer: Nobody <n@example.com>', 'Description: x'];
  writeFileSync(join(tree, 'DEBIAN/control'), `Package: ${name}\n${control.join('\n')}\n`);
  writeFileSync(join(tree, path), content);
  const deb = folder.file(`${name}.deb`);
  run('dpkg-deb', '--root-owner-group', '--build', tree, deb);
  return readFileSync(deb);
}

const serve = (path: string, data: Buffer): void => void (server.files[`/archive/${path}`] = { data });

/** A recipe that names `key`. */
async function newContext(): Promise<TemplateContext> {
  const text = JSON.stringify({
    ...{ name: 'mini', fullName: 'Mini', arch: 'x86_64', layout: 'gpt-uefi', size: '1GiB' },
    debian: {
      ...{ suite: 'test', architecture: 'amd64', sources: ['deb http://example.com/archive test main'] },
      archiveKey: { fingerprint: key.getFingerprint().toUpperCase(), keyring: ownKeyring(), package: POOL },
    },
  });
  const workDir = folder.file('work');
  mkdirSync(workDir, { mode: 0o711 });
  return {
    recipe: await parseRecipe('mini.yaml', text),
    identity: templateIdentity(text, 0),
    workDir,
    mirrors: {},
    jobs: 1,
    progress: { ...silentProgress, warn: (message) => void warnings.push(message) },
  };
}

const sources = (): string[] => [
  `deb [arch=amd64] ${server.url}/archive/ test main`,
  'deb http://x/y z main',
];

/** The content of the only keyring that the options name, by itself and as the only file of its folder. */
function keyringOf(options: readonly string[]): Buffer {
  const [file = '', place = ''] = options.map((option) => option.replace(/^--keyring=/, ''));
  expect(options).toEqual([`--keyring=${place}/archive.gpg`, `--keyring=${place}`]);
  expect(run('ls', '-A', place)).toBe('archive.gpg\n');
  return readFileSync(file);
}

describe('archiveKeyOptions', () => {
  it('are none for a recipe that names no key', async () => {
    const context = await newContext();
    const debian = { ...context.recipe.debian, archiveKey: undefined };
    expect(await archiveKeyOptions({ ...context, recipe: { ...context.recipe, debian } }, sources())).toEqual(
      [],
    );
    expect(existsSync(join(context.workDir, 'archive-key'))).toBe(false);
  });

  it("take the key from this machine's keyring and ask nobody", async () => {
    putOwn(other, key);
    const options = await archiveKeyOptions(await newContext(), sources());
    expect(keyringOf(options)).toEqual(publicPart(key));
    expect(server.requests).toEqual([]);
  });

  it('take it from the package in the archive where there is no keyring', async () => {
    serve(POOL, makePackage('keys', ownKeyring(), publicPart(other, key)));
    const context = await newContext();
    expect(keyringOf(await archiveKeyOptions(context, sources()))).toEqual(publicPart(key));
    expect(server.requests.map(({ path }) => path)).toEqual([`/archive/${POOL}`]);
    expect(run('stat', '-c', '%a', join(context.workDir, 'archive-key/archive.gpg'))).toBe('644\n');
    expect(warnings).toEqual([]);
  });

  it("take it from the package where this machine's keyring does not have it, and say so", async () => {
    putOwn(other);
    serve(POOL, makePackage('keys', ownKeyring(), publicPart(key)));
    expect(keyringOf(await archiveKeyOptions(await newContext(), sources()))).toEqual(publicPart(key));
    expect(warnings).toEqual([expect.stringContaining(`${ownKeyring()}: has no key `)]);
  });

  it.each([
    [
      'has another key',
      () => makePackage('keys', ownKeyring(), publicPart(other)),
      /has no key [0-9A-F]{40}, but /,
    ],
    [
      'has no keyring',
      () => makePackage('keys', '/usr/share/doc/x', 'x'),
      /tar failed .*Not found in archive/s,
    ],
    ['has no key in it', () => makePackage('keys', ownKeyring(), 'hello'), /no OpenPGP public key/],
    ['is no package', () => Buffer.from('<html>Log in first'), /dpkg-deb failed/],
  ])('are refused when the package %s', async (_, make, message) => {
    serve(POOL, make());
    await expect(archiveKeyOptions(await newContext(), sources())).rejects.toMatchObject({
      code: 'TSB_KEY_INVALID',
      exit: 4,
      message: expect.stringMatching(message) as string,
      hint: expect.stringContaining('fingerprint in the recipe') as string,
      details: { url: `${server.url}/archive/${POOL}`, fingerprint: key.getFingerprint().toUpperCase() },
    });
    expect(existsSync(folder.file('work/archive-key'))).toBe(false);
  });

  it('are refused when the package cannot be had', async () => {
    await expect(archiveKeyOptions(await newContext(), sources())).rejects.toMatchObject({
      code: 'TSB_HTTP_STATUS',
      message: expect.stringContaining(`${server.url}/archive/${POOL}`) as string,
    });
  });

  it('make mmdebstrap take packages from an archive signed with that key only', async () => {
    putOwn(key);
    const deb = makePackage('hello', '/usr/share/hello', 'hello');
    serve('pool/hello.deb', deb);
    const options = await archiveKeyOptions(await newContext(), sources());
    const install = async (signer: openpgp.PrivateKey): Promise<string> => {
      await publishArchive(deb, signer);
      const source = `deb ${server.url}/archive test main`;
      const kind = ['--mode=root', '--variant=extract', '--format=tar', '--include=hello'];
      const command = [...kind, ...options, 'test', folder.file('tree.tar'), source];
      await exec('mmdebstrap', command, { env: { TMPDIR: folder.path } });
      return run('tar', '--extract', '--to-stdout', '--file', folder.file('tree.tar'), './usr/share/hello');
    };
    expect(await install(key)).toBe('hello');
    await expect(install(other)).rejects.toMatchObject({
      code: 'TSB_TOOL_FAILED',
      message: expect.stringContaining("/archive test InRelease' is not signed") as string,
    });
  });
});

/** Puts indexes on the server that name the package `deb` alone, signed by `signer`. */
async function publishArchive(deb: Buffer, signer: openpgp.PrivateKey): Promise<void> {
  const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex');
  const control = run('dpkg-deb', '--field', folder.file('hello.deb')).trimEnd();
  const packages = Buffer.from(
    `${control}\nFilename: pool/hello.deb\nSize: ${deb.length}\nSHA256: ${sha256(deb)}\n\n`,
  );
  const names = ['main/binary-amd64/Packages', 'main/binary-all/Packages'];
  for (const name of names) serve(`dists/test/${name}`, packages);
  const text = [
    ...['Suite: test', 'Codename: test', 'Architectures: amd64 all', 'Components: main'],
    `Date: ${new Date().toUTCString().replace('GMT', 'UTC')}`,
    'SHA256:',
    ...names.map((name) => ` ${sha256(packages)} ${packages.length} ${name}`),
    '',
  ].join('\n');
  const message = await openpgp.createCleartextMessage({ text });
  serve('dists/test/InRelease', Buffer.from(await openpgp.sign({ message, signingKeys: signer })));
}
