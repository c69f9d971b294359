import { type AddressInfo, createServer } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Desk, failureOf, inTurns, litter, newDesk, resultOf } from '../helpers/e2e.js';
import { type IndexKey, daysAgo, indexText, makeIndexKey, serve } from '../helpers/e2e-repository.js';
import { type Stage, openStage } from '../helpers/e2e-stage.js';

// A dozen runs of the program, two at a time.
vi.setConfig({ testTimeout: 120_000 });

let stage: Stage;
let other: IndexKey;
let expired: IndexKey;
beforeAll(async () => {
  stage = await openStage();
  other = await makeIndexKey(stage.folder, { name: 'other' });
  expired = await makeIndexKey(stage.folder, { name: 'expired', validDays: 20 });
});
afterAll(() => stage[Symbol.asyncDispose]());

let count = 0;

/** Tries to build from an index of these bytes and returns how that failed. */
async function attempt(
  index: string | Uint8Array,
  trust: readonly string[] = ['--key', stage.key.file],
): Promise<string> {
  await using desk = await newDesk();
  count += 1;
  const name = `case-${count}.asc`;
  serve(stage.server, { [name]: index });
  const source = ['--source', `${stage.server.url}/repo/${name}`, ...trust];
  const { summary } = failureOf(await desk.run(['small', ...source, '--json']));
  expect(await litter(desk)).toEqual([]);
  return summary;
}

describe('an index that is not what its key signed', () => {
  it('is refused', async () => {
    const good = await stage.key.sign(stage.index);
    const lines = good.split('\n');
    const broken = /^4 TSB_(SIGNATURE_BAD|INDEX_UNSIGNED|INDEX_INVALID)$/;
    const cases: readonly (readonly [RegExp, string])[] = [
      [/^4 TSB_SIGNATURE_BAD$/, good.replace('revision=1', 'revision=2')],
      [/^4 TSB_INDEX_UNSIGNED$/, stage.index],
      [/^4 TSB_SIGNATURE_WRONG_KEY$/, await other.sign(stage.index)],
      [/^4 TSB_INDEX_UNSIGNED$/, ''],
      [broken, lines.slice(0, -4).join('\n')],
      [broken, good.slice(0, 200)],
      [broken, `[evil]\nfile=x\n\n${good}`],
      [
        /^4 TSB_SIGNATURE_(BAD|WRONG_KEY)$/,
        good.replace(/\n([A-Za-z0-9+/]{20,})\n/, (line) => line.replace(/[A-M]/, 'z')),
      ],
    ];
    const found = await inTurns(
      cases.map(
        ([, index]) =>
          () =>
            attempt(index),
      ),
    );
    for (const [at, [expected]] of cases.entries()) expect(found[at]).toMatch(expected);
  });

  it('is refused when its key or its signature has expired', async () => {
    const found = await inTurns([
      async () => attempt(await expired.sign(stage.index, daysAgo(20)), ['--key', expired.file]),
      async () => attempt(await stage.key.signBriefly(stage.index)),
    ]);
    expect(found).toEqual(['4 TSB_SIGNATURE_EXPIRED', '4 TSB_SIGNATURE_EXPIRED']);
  });

  it('is refused when it is older than the one seen before, until that is allowed', async () => {
    await using desk = await newDesk();
    const source = ['--source', `${stage.server.url}/repo/moving.asc`, '--key', stage.key.file];
    const list = (...options: string[]): ReturnType<Desk['run']> =>
      desk.run(['--list', ...source, '--json', ...options]);
    serve(stage.server, { 'moving.asc': await stage.key.sign(stage.index, daysAgo(2)) });
    resultOf(await list());
    serve(stage.server, { 'moving.asc': await stage.key.sign(stage.index, daysAgo(3)) });
    expect(failureOf(await desk.run(['small', ...source, '--json'])).summary).toBe(
      '4 TSB_SIGNATURE_ROLLBACK',
    );
    expect(await litter(desk)).toEqual([]);
    resultOf(await list('--allow-rollback'));
    resultOf(await list());
  });

  it('is used with --no-check-signature, whoever signed it', async () => {
    await using desk = await newDesk();
    serve(stage.server, { 'unsigned.asc': stage.index, 'others.asc': await other.sign(stage.index) });
    for (const name of ['unsigned.asc', 'others.asc']) {
      const source = ['--source', `${stage.server.url}/repo/${name}`, '--no-check-signature'];
      resultOf(await desk.run(['small', ...source, '--json', '-o', `${name}.img`]));
    }
  });
});

describe('whom to trust', () => {
  it('must be said: neither key nor fingerprint is a usage error', async () => {
    await using desk = await newDesk();
    stage.forget();
    const source = ['--source', `${stage.server.url}/repo/index.asc`];
    expect(failureOf(await desk.run(['small', ...source, '--json'])).summary).toMatch(/^2 TSB_USAGE$/);
    expect(stage.downloads()).toEqual([]);
    expect(await litter(desk)).toEqual([]);
  });

  it('can be narrowed by a fingerprint', async () => {
    await using desk = await newDesk();
    const [good, bad] = await inTurns(
      [stage.key, other].map(
        ({ fingerprint }) =>
          () =>
            desk.run(['--list', ...stage.source, '--fingerprint', fingerprint, '--json']),
      ),
    );
    resultOf(good!);
    expect(failureOf(bad!).summary).toMatch(/^4 TSB_(SIGNATURE_WRONG_KEY|KEY_INVALID)$/);
  });

  it('needs a key file that is one', async () => {
    await using desk = await newDesk();
    writeFileSync(desk.file('not-a-key'), 'hello');
    const source = stage.source.slice(0, 2);
    const failures = await inTurns(
      ['not-a-key', 'missing'].map(
        (key) => () =>
          desk.run(['small', '-o', `${key}.img`, ...source, '--key', key, '--json']).then(failureOf),
      ),
    );
    expect(failures.map(({ summary }) => summary)).toEqual([
      '4 TSB_KEY_INVALID',
      expect.stringMatching(/^(4 TSB_KEY_INVALID|3 TSB_NOT_FOUND)$/),
    ]);
  });
});

describe('an index with a fault', () => {
  it('is refused with its place', async () => {
    await using desk = await newDesk();
    const text = `${stage.index}\n[bad]\nfile=../../etc/passwd\nsize=1\n`;
    serve(stage.server, { 'faulty.asc': await stage.key.sign(text) });
    const source = ['--source', `${stage.server.url}/repo/faulty.asc`, '--key', stage.key.file];
    const failure = failureOf(await desk.run(['small', ...source, '--json']));
    expect(failure.summary).toBe('4 TSB_INDEX_INVALID');
    expect(failure.message).toMatch(/faulty\.asc.*\d+:\d+|line \d+/);
    expect(await litter(desk)).toEqual([]);
  });
});

describe('two sources', () => {
  it('one dead, one good: a warning and the disk', async () => {
    await using desk = await newDesk();
    const dead = `http://127.0.0.1:${await unusedPort()}/index.asc`;
    const args = ['small', '--source', dead, ...stage.source, '--json'];
    const outcome = await desk.run(args);
    resultOf(outcome);
    expect(outcome.stderr).toMatch(/"type":"warning".*not used because out of reach/);
    const failure = failureOf(await desk.run(['other', '--source', dead, ...stage.source, '--json']));
    expect(failure.summary).toMatch(/^(3 TSB_NOT_FOUND|6 TSB_NETWORK)$/);
  });

  it('a server that goes away is replaced by what it said before', async () => {
    await using desk = await newDesk();
    const uri = join('/repo', 'fleeting.asc');
    const index = indexText({ small: stage.fields });
    serve(stage.server, { 'fleeting.asc': await stage.key.sign(index) });
    const args = ['small', '--source', `${stage.server.url}${uri}`, '--key', stage.key.file, '--json', '-o'];
    resultOf(await desk.run([...args, 'first.img']));
    stage.server.fault = ({ path }) => (path === uri ? { status: 404 } : undefined);
    const outcome = await desk.run([...args, 'second.img']);
    stage.forget();
    resultOf(outcome);
    expect(outcome.stderr).toMatch(/"type":"warning".*using the copy of the index/);
  });
});

function unusedPort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
