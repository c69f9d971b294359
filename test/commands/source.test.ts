import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Config } from '@oclif/core';
import { captureOutput } from '@oclif/test';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import SourceAdd from '../../src/commands/source/add.js';
import SourceList from '../../src/commands/source/list.js';
import SourceRemove from '../../src/commands/source/remove.js';
import { type Signer, makeSigner } from '../helpers/make-signer.js';

const ENTRY = '[a]\narch=x86_64\nfile=a.xz\nsize=1\n';

let root: string;
let repos: string;
let config: Config;
let signer: Signer;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'source-'));
  repos = join(root, 'config', 'tsbuilder', 'repos.d');
  config = await Config.load(join(import.meta.dirname, '../..'));
  vi.stubEnv('XDG_CONFIG_HOME', join(root, 'config'));
  vi.stubEnv('XDG_CACHE_HOME', join(root, 'cache'));
  vi.stubEnv('TSBUILDER_DATA_DIR', join(root, 'data'));
  vi.stubEnv('VIRT_BUILDER_DIRS', join(root, 'etc'));
  vi.stubEnv('GNUPGHOME', join(root, 'gnupg'));
  signer = await makeSigner();
  writeFileSync(join(root, 'key.asc'), signer.publicKey);
  writeFileSync(join(root, 'index.asc'), await signer.sign(ENTRY, '2026-02-01'));
  process.exitCode = undefined;
});
afterEach(() => {
  vi.unstubAllEnvs();
  process.exitCode = undefined;
  rmSync(root, { recursive: true, force: true });
});

interface CommandClass {
  run(argv: string[], config: Config): Promise<unknown>;
}
interface Ran {
  readonly result: unknown;
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: unknown;
}

async function run(command: CommandClass, ...argv: string[]): Promise<Ran> {
  process.exitCode = undefined;
  const { result, stdout, stderr, error } = await captureOutput(() => command.run(argv, config));
  if (error) throw error;
  const ran = { result, stdout, stderr, exitCode: process.exitCode };
  process.exitCode = undefined;
  return ran;
}
const add = (...more: string[]): Promise<Ran> =>
  run(SourceAdd, 'mine', join(root, 'index.asc'), '--key', join(root, 'key.asc'), ...more);
const names = async (): Promise<string[]> => {
  const { result } = await run(SourceList);
  return (result as { sources: { name: string }[] }).sources.map(({ name }) => name);
};

describe('source add', () => {
  it('verifies the index, copies the key and writes the file', async () => {
    const { stdout, result } = await add();
    expect(stdout).toMatch(/^Added mine, which has 1 template; it must be signed by [0-9A-F]{40}\.$/m);
    expect(result).toMatchObject({ name: 'mine', templates: 1 });
    expect(readFileSync(join(repos, 'mine.conf'), 'utf8')).toBe(
      `[mine]\nuri=${join(root, 'index.asc')}\ngpgkey=mine.asc\n`,
    );
    expect(readFileSync(join(repos, 'mine.asc'), 'utf8')).toContain('BEGIN PGP PUBLIC KEY BLOCK');
    // A location may carry a password.
    expect(statSync(join(repos, 'mine.conf')).mode & 0o777).toBe(0o600);
    rmSync(join(root, 'key.asc'));
    expect(await names()).toEqual(['mine', 'libguestfs.org']);
  });

  it('keeps format and proxy', async () => {
    await add('--offline', '--format', 'simplestreams', '--proxy', 'no');
    expect(readFileSync(join(repos, 'mine.conf'), 'utf8')).toContain('format=simplestreams\nproxy=no\n');
  });

  it.each([
    ['a bad name', ['../x', '/i', '--key', 'KEY'], 2, /cannot be the name/],
    ['no key', ['x', '/i'], 2, /needs --key or --fingerprint/],
    ['a key that is none', ['x', '/i', '--key', 'INDEX'], 4, /holds no OpenPGP public key/],
    ['a location of another kind', ['x', 'ftp://x/i', '--key', 'KEY'], 2, /ftp URLs are not supported/],
    ['a second line in the location', ['x', '/i\ngpgkey=/evil', '--key', 'KEY'], 2, /control characters/],
    ['an index that is away', ['x', '/missing', '--key', 'KEY'], 3, /missing: no such file/],
    ['an index by another key', ['x', 'INDEX', '--key', 'OTHER'], 4, /not trusted here/],
    ['a fingerprint nobody has', ['x', 'INDEX', '--fingerprint', '0'.repeat(40)], 4, /keyring has no key/],
  ])('refuses %s, and writes nothing', async (_, argv, exitCode, text) => {
    mkdirSync(join(root, 'gnupg'), { mode: 0o700 });
    writeFileSync(join(root, 'other.asc'), (await makeSigner()).publicKey);
    const files = { KEY: 'key.asc', INDEX: 'index.asc', OTHER: 'other.asc' };
    const words = argv.map((word) => (word in files ? join(root, files[word as keyof typeof files]) : word));
    const ran = await run(SourceAdd, ...words);
    expect(ran.exitCode).toBe(exitCode);
    expect(ran.stderr).toMatch(text);
    expect(existsSync(repos)).toBe(false);
  });

  it('replaces a source only when told to', async () => {
    await add();
    const again = await add();
    expect(again.exitCode).toBe(7);
    expect(again.stderr).toContain('--force');
    expect((await add('--force')).exitCode).toBeUndefined();
    expect(readdirSync(repos).sort()).toEqual(['mine.asc', 'mine.conf']);
  });
});

describe('source list', () => {
  it('shows location without credentials, key and origin', async () => {
    await run(
      SourceAdd,
      'net',
      'https://u:secret@x.org/i?token=1',
      '--key',
      join(root, 'key.asc'),
      '--offline',
    );
    const { stdout } = await run(SourceList);
    expect(stdout).toMatch(/^NAME +INDEX +TRUSTS +FROM$/m);
    expect(stdout).toMatch(/^net +https:\/\/x\.org\/i\?\.\.\. +[0-9A-F]{40} +\S+net\.conf$/m);
    expect(stdout).toContain('F7774FB1AD074A7E8C8767EA91738F73E1B768A0');
    expect(stdout).not.toContain('secret');
  });

  it('says why a source cannot be used', async () => {
    mkdirSync(repos, { recursive: true });
    writeFileSync(join(repos, 'a.conf'), '[a]\nuri=https://x/i\n\n[b]\nuri=https://y/i\ngpgkey=http://y/k\n');
    const { stdout } = await run(SourceList);
    expect(stdout).toMatch(/^a .*has no key to check its signature by/m);
    expect(stdout).toMatch(/^b .*gpgkey must be a local file/m);
  });
});

describe('source remove', () => {
  it('removes an own source with its key', async () => {
    await add();
    expect((await run(SourceRemove, 'mine')).stdout).toBe('Removed mine.\n');
    expect(readdirSync(repos)).toEqual([]);
    expect(await names()).toEqual(['libguestfs.org']);
  });

  it('leaves the other sections of a file as they are', async () => {
    mkdirSync(repos, { recursive: true });
    const [first, middle, last] = ['a', 'b', 'c'].map(
      (id) => `# about ${id}\n[${id}]\nuri=https://${id}/i\n`,
    );
    writeFileSync(join(repos, 'all.conf'), `${first!}\n${middle!}\n${last!}`);
    await run(SourceRemove, 'b');
    expect(await names()).toEqual(['a', 'c', 'libguestfs.org']);
    expect(readFileSync(join(repos, 'all.conf'), 'utf8')).toContain('[a]\nuri=https://a/i\n');
  });

  it('disables a source that is not the own, and can be undone', async () => {
    const { stdout, result } = await run(SourceRemove, 'libguestfs.org');
    expect(stdout).toContain('Disabled libguestfs.org');
    expect(await names()).toEqual([]);
    rmSync((result as { path: string }).path);
    expect(await names()).toEqual(['libguestfs.org']);
  });

  it('says so when it is disabled already', async () => {
    const { result } = await run(SourceRemove, 'libguestfs.org');
    const again = await run(SourceRemove, 'libguestfs.org');
    expect(again.exitCode).toBeUndefined();
    expect(again.stdout).toContain('libguestfs.org is disabled already');
    expect(again.result).toMatchObject({ action: 'was-disabled', path: (result as { path: string }).path });
  });

  it('disables one source without touching others of its file or the own files', async () => {
    const system = join(root, 'etc', 'virt-builder', 'repos.d');
    const text = (id: string): string => `[${id}]\nuri=https://${id}/i\n`;
    mkdirSync(system, { recursive: true });
    mkdirSync(repos, { recursive: true });
    writeFileSync(join(system, 'a.conf'), text('a') + text('a-testing'));
    writeFileSync(join(system, 'b-disabled.conf'), text('b'));
    await run(SourceRemove, 'a');
    await run(SourceRemove, 'b');
    expect(await names()).toEqual(['a-testing', 'libguestfs.org']);
    expect(readdirSync(repos)).toEqual(['a-disabled.conf', 'b-disabled-2.conf']);
  });

  it('tells of a source of that name that comes to light, and of one that stays hidden', async () => {
    const system = join(root, 'etc', 'virt-builder', 'repos.d');
    mkdirSync(system, { recursive: true });
    writeFileSync(join(system, 'all.conf'), '[mine]\nuri=https://mine/i\n');
    await add();
    const removed = await run(SourceRemove, 'mine');
    expect(removed.stdout).toBe('Removed mine.\n');
    expect(removed.stderr).toContain(`${join(system, 'all.conf')} defines mine too, and that is used now`);
    writeFileSync(join(repos, 'all.conf'), '[other]\nuri=https://other/i\n');
    const hidden = await run(SourceRemove, 'mine');
    expect(hidden.exitCode).toBe(3);
    expect(hidden.stderr).toContain(
      `${join(system, 'all.conf')} defines it, but ${join(repos, 'all.conf')} stands in for that file`,
    );
  });

  it('suggests a name, and does not touch the local repository', async () => {
    const wrong = await run(SourceRemove, 'libguestfs.or');
    expect(wrong.exitCode).toBe(3);
    expect(wrong.stderr).toContain('Did you mean libguestfs.org?');
    mkdirSync(join(root, 'data', 'repository'), { recursive: true });
    writeFileSync(join(root, 'data', 'repository', 'index.asc'), '');
    expect((await run(SourceRemove, 'local')).exitCode).toBe(2);
  });
});
