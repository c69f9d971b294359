import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readKeyring } from '../../src/index-repo/keyring.js';
import { verifyClearsigned } from '../../src/index-repo/signature.js';
import { type Desk, type Outcome, type RunOptions, failureOf, newDesk, resultOf } from '../helpers/e2e.js';
import { type Gnupg, type GnupgKey, newGnupg } from '../helpers/gnupg.js';

vi.setConfig({ testTimeout: 120_000 });

const PASSPHRASE = 'correct horse';
const DAY = 86_400_000;

// Runs a program on a terminal of its own, types `argv[1]` when it is asked for a passphrase, and prints what the terminal shows.
const ON_TERMINAL = `
import os, pty, sys
pid, fd = pty.fork()
if pid == 0: os.execvp(sys.argv[2], sys.argv[2:])
seen, answered = b'', False
while True:
    try: data = os.read(fd, 4096)
    except OSError: break
    if not data: break
    seen += data
    if not answered and b'Passphrase of' in seen:
        os.write(fd, sys.argv[1].encode())
        answered = True
sys.stdout.buffer.write(seen)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

let desk: Desk;
let gnupg: Gnupg;
let locked: GnupgKey;
let plain: GnupgKey;
beforeAll(async () => {
  desk = await newDesk();
  gnupg = await newGnupg();
  locked = gnupg.makeKey('locked', { passphrase: PASSPHRASE });
  plain = gnupg.makeKey('plain');
  writeFileSync(desk.file('passphrase'), `${PASSPHRASE}\nthe second line\n`);
});
afterAll(async () => {
  await desk[Symbol.asyncDispose]();
  await gnupg[Symbol.asyncDispose]();
});

let count = 0;
const newRepo = (): string => desk.file(`repo-${++count}`);
const repo = (args: readonly string[], options?: RunOptions): Promise<Outcome> =>
  desk.run(['repo', ...args, '--json'], options);

/** The fingerprint of the key that signed the index, and when that signature ends in seconds after it was made, as gpg says. */
function judged(dir: string): { by: string | undefined; seconds: number } {
  const status = gnupg.gpg(['--status-fd', '1', '--verify', join(dir, 'index.asc')]);
  const [, by, made, end] = /VALIDSIG (\S+) \S+ (\d+) (\d+)/.exec(status) ?? [];
  return { by, seconds: end === '0' ? 0 : Number(end) - Number(made) };
}

describe('a key file with a passphrase', () => {
  it.each([
    ['from a file', ['--passphrase-file', 'passphrase'], {}],
    ['from the environment', [], { TSBUILDER_PASSPHRASE: PASSPHRASE }],
  ])('signs with the passphrase %s', async (_, flags, env) => {
    const dir = newRepo();
    expect(resultOf(await repo(['init', dir, '--key', locked.secret, ...flags], { env }))).toMatchObject({
      ...{ fingerprint: locked.fingerprint, madeKey: false },
    });
    expect(judged(dir)).toEqual({ by: locked.fingerprint, seconds: 0 });
    expect(readFileSync(join(dir, 'key.asc'), 'utf8')).not.toContain('PRIVATE');
    expect(readdirSync(dir).sort()).toEqual(['index.asc', 'key.asc']);
  });

  it('asks on a terminal, and does not show the answer', async () => {
    const dir = newRepo();
    const wrapper = ['python3', '-c', ON_TERMINAL, `${PASSPHRASE}\r`];
    const { status, stdout } = await desk.run(['repo', 'init', dir, '--key', locked.secret], { wrapper });
    expect({ status, shown: stdout.toString() }).toEqual({
      ...{ status: 0, shown: expect.stringContaining(`Passphrase of ${locked.secret}: `) as string },
    });
    expect(stdout.toString()).not.toContain('horse');
    expect(judged(dir).by).toBe(locked.fingerprint);
  });

  it.each([
    ['Ctrl-C', '\u0003', 130],
    ['the end of the input', '\u0004', 4],
    ['a wrong passphrase', 'wrong\r', 4],
  ])('ends on %s at the question, with nothing made', async (_, answer, expected) => {
    const dir = newRepo();
    const wrapper = ['python3', '-c', ON_TERMINAL, answer];
    const { status, stdout } = await desk.run(['repo', 'init', dir, '--key', locked.secret], { wrapper });
    expect({ status, shown: stdout.toString() }).toMatchObject({ status: expected });
    expect(readdirSync(desk.work)).not.toContain(dir.split('/').at(-1));
  });

  it('does not wait for an answer where there is no terminal', async () => {
    const dir = newRepo();
    const found = failureOf(await repo(['init', dir, '--key', locked.secret]));
    expect(found).toMatchObject({ summary: '4 TSB_KEY_INVALID' });
    expect(found.hint).toContain('--passphrase-file');
    expect(readdirSync(desk.work)).not.toContain(dir.split('/').at(-1));
  });

  it('is refused with a wrong passphrase', async () => {
    const env = { TSBUILDER_PASSPHRASE: 'wrong' };
    const found = failureOf(await repo(['init', newRepo(), '--key', locked.secret], { env }));
    expect(found).toMatchObject({ summary: '4 TSB_KEY_INVALID' });
    expect(found.message).toContain('the passphrase is wrong');
  });
});

describe('a key that cannot sign now', () => {
  const BAD = [
    ['expired', { expires: '30d' }, 'expired on 2025-01-31'],
    ['revoked', { revoked: true }, 'is revoked'],
    ['certifying', { usage: 'cert' }, 'cannot sign'],
  ] as const;

  it.each(BAD)('is refused before any work: %s', async (name, options, why) => {
    const key = gnupg.makeKey(name, options);
    const env = { GNUPGHOME: gnupg.home };
    const dir = newRepo();
    resultOf(await repo(['init', dir, '--key', plain.secret]));
    const before = readFileSync(join(dir, 'index.asc'));
    for (const chosen of [
      ['--key', key.secret],
      ['--gpg-key', key.fingerprint],
    ]) {
      const found = failureOf(await repo(['init', newRepo(), ...chosen], { env }));
      expect(found.summary).toBe('4 TSB_KEY_INVALID');
      expect(found.message).toContain(why);
    }
    for (const added of [key.secret, `gpg:${key.fingerprint}`]) {
      const found = failureOf(await repo(['sign', dir, '--key', plain.secret, '--new-key', added], { env }));
      expect(found.message).toContain(why);
    }
    // The disk is not there: had it been looked at, that would be the error.
    writeFileSync(join(dir, 'key.asc'), readFileSync(key.public));
    const found = failureOf(await repo(['add', dir, 'no-such-disk', 'deb', '--key', key.secret], { env }));
    expect(found.message).toContain(why);
    expect(readFileSync(join(dir, 'index.asc'))).toEqual(before);
  });

  it('is refused too when it is not of the repository, or has no secret half', async () => {
    const dir = newRepo();
    resultOf(await repo(['init', dir, '--key', plain.secret]));
    const env = { TSBUILDER_PASSPHRASE: PASSPHRASE };
    const other = failureOf(await repo(['sign', dir, '--key', locked.secret], { env }));
    expect(other.message).toContain(`is not of the repository ${dir}`);
    const half = failureOf(await repo(['init', newRepo(), '--key', plain.public]));
    expect(half).toMatchObject({ summary: '4 TSB_KEY_INVALID' });
    const none = failureOf(await repo(['sign', dir]));
    expect(none.message).toContain('neither in');
  });
});

describe('a key of GnuPG', () => {
  it('signs by its agent, and is found again by later commands', async () => {
    const dir = newRepo();
    const env = { GNUPGHOME: gnupg.home };
    resultOf(await repo(['init', dir, '--gpg-key', 'plain'], { env }));
    expect(judged(dir).by).toBe(plain.fingerprint);
    resultOf(await repo(['sign', dir, '--expires', '2d'], { env }));
    expect(judged(dir)).toEqual({ by: plain.fingerprint, seconds: (2 * DAY) / 1000 });
    expect(readFileSync(join(dir, 'index.asc'), 'utf8')).not.toContain('\r');
  });

  it('signs with a passphrase from a file, or from the environment', async () => {
    const env = { GNUPGHOME: gnupg.home };
    const chosen = ['--gpg-key', locked.fingerprint];
    const file = ['--passphrase-file', desk.file('passphrase')];
    const given = readFileSync(desk.file('passphrase'), 'utf8').split('\n')[0] ?? '';
    const run = (words: string[], more = {}): ReturnType<typeof repo> => {
      gnupg.forget();
      return repo(['init', newRepo(), ...chosen, ...words], { env: { ...env, ...more } });
    };
    for (const outcome of [await run(file), await run([], { TSBUILDER_PASSPHRASE: given })])
      expect(resultOf(outcome)).toMatchObject({ fingerprint: locked.fingerprint });
    const wrong = failureOf(await run([], { TSBUILDER_PASSPHRASE: 'wrong' }));
    expect(wrong.summary).toBe('4 TSB_KEY_INVALID');
    expect(wrong.message).toMatch(/the passphrase is wrong$/);
    const none = failureOf(await run([]));
    expect(none).toMatchObject({ summary: '8 TSB_TOOL_FAILED' });
    expect(none.hint).toContain('--passphrase-file');
    expect(JSON.stringify(wrong)).not.toContain(given);
  });

  it('that is not there or is ambiguous is refused', async () => {
    const env = { GNUPGHOME: gnupg.home };
    const none = failureOf(await repo(['init', newRepo(), '--gpg-key', 'nobody'], { env }));
    expect(none).toMatchObject({ summary: '4 TSB_KEY_INVALID' });
    const several = failureOf(await repo(['init', newRepo(), '--gpg-key', 'l'], { env }));
    expect(several).toMatchObject({ summary: '4 TSB_KEY_INVALID' });
    expect(several.message).toContain('several secret keys');
  });
});

describe('--expires', () => {
  it('is in the signature; readers refuse it afterwards, and it can be signed again', async () => {
    const dir = newRepo();
    resultOf(await repo(['init', dir, '--key', plain.secret, '--expires', '30d']));
    expect(judged(dir)).toEqual({ by: plain.fingerprint, seconds: (30 * DAY) / 1000 });
    const index = join(dir, 'index.asc');
    const [, signature = ''] = readFileSync(index, 'utf8').split(/(?=^-----BEGIN PGP SIGNATURE)/m);
    expect(gnupg.gpg(['--list-packets'], signature)).toContain('sig expires after 30d');
    const keys = await readKeyring(readFileSync(join(dir, 'key.asc')), 'key.asc');
    const at = (days: number): { name: string; keys: typeof keys; now: Date } => ({
      ...{ name: index, keys, now: new Date(Date.now() + days * DAY) },
    });
    await expect(verifyClearsigned(readFileSync(index), at(29))).resolves.toMatchObject({});
    const refused = verifyClearsigned(readFileSync(index), at(31));
    await expect(refused).rejects.toMatchObject({ code: 'TSB_SIGNATURE_EXPIRED' });
  });

  it('of a signature that has ended does not stop the next one', async () => {
    const dir = newRepo();
    resultOf(await repo(['init', dir, '--key', plain.secret]));
    const index = join(dir, 'index.asc');
    const text = '[gone]\nfile=gone.xz\narch=x86_64\nsize=1\nrevision=1\n\n';
    const past = ['--faked-system-time', '20260101T000000', '--default-sig-expire', '2d'];
    rmSync(index);
    writeFileSync(index, gnupg.gpg([...past, '--local-user', plain.fingerprint, '--clearsign'], text));
    const trust = ['--source', index, '--key', join(dir, 'key.asc')];
    expect((await desk.run(['--list', ...trust])).status).not.toBe(0);
    const list = async (): Promise<string> => String((await desk.run(['repo', 'list', dir])).stdout);
    expect(await list()).toContain(
      `Signed by ${plain.fingerprint}; expired on 2026-01-03 00:00 UTC: repo sign renews it\n`,
    );
    resultOf(await repo(['sign', dir, '--key', plain.secret]));
    expect(judged(dir)).toEqual({ by: plain.fingerprint, seconds: 0 });
    expect(readFileSync(index, 'utf8')).toContain('[gone]');
    expect(await list()).toContain(`Signed by ${plain.fingerprint}\n`);
    resultOf(await repo(['sign', dir, '--key', plain.secret, '--expires', '30d']));
    expect(await list()).toMatch(/ until \d{4}-\d\d-\d\d \d\d:\d\d UTC\n/);
    expect((await desk.run(['--list', ...trust])).status).toBe(0);
  });

  it.each(['0d', '-1d', 'soon', '7102w'])('refuses %s', async (text) => {
    const found = failureOf(await repo(['init', newRepo(), '--key', plain.secret, `--expires=${text}`]));
    expect(found.summary).toBe('2 TSB_USAGE');
  });
});
