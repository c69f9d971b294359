import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Desk, type Running, failureOf, inTurns, litter, newDesk, resultOf } from '../helpers/e2e.js';
import { examineDisk } from '../helpers/e2e-disk.js';
import { type Stage, openStage } from '../helpers/e2e-stage.js';
import { noise, sha512 } from '../helpers/e2e-template.js';

vi.setConfig({ testTimeout: 180_000 });

let stage: Stage;
/** How long a build takes on this machine now. */
let typicalMs: number;
beforeAll(async () => {
  stage = await openStage();
  // A whole build takes about two seconds: one to start, one to download.
  stage.server.fault = ({ path, headers }) =>
    path.endsWith('small.xz') && headers.range === undefined ? { slowMs: 6 } : undefined;
  await using desk = await newDesk();
  const begin = Date.now();
  resultOf(await desk.run(args()));
  typicalMs = Date.now() - begin;
});
afterAll(() => stage[Symbol.asyncDispose]());

const hash = (path: string): string => sha512(readFileSync(path));
const args = (...options: string[]): string[] => [
  'small',
  ...stage.source,
  '--size',
  '256M',
  '--json',
  ...options,
];

/** Six moments in which a build of `typicalMs` is at different things, at random. */
function moments(): number[] {
  return Array.from({ length: 6 }, (_, index) => ((index + Math.random()) / 6) * typicalMs);
}

/** A user with an earlier disk `small.img`, and what it holds. */
async function deskWithDisk(): Promise<{ desk: Desk; before: string }> {
  const desk = await newDesk();
  const data = noise(100_000);
  writeFileSync(desk.file('small.img'), data);
  return { desk, before: sha512(data) };
}

async function killAfter(running: Running, ms: number, signal: NodeJS.Signals): ReturnType<Desk['run']> {
  void sleep(ms).then(() => running.child.kill(signal));
  return running.ended;
}

describe.each(['SIGINT', 'SIGTERM'] as const)('%s', (signal) => {
  it('ends a build with status 130 and leaves the old disk or the new one, and nothing else', async () => {
    await inTurns(
      moments().map((ms) => async () => {
        const { desk, before } = await deskWithDisk();
        await using _ = desk;
        const running = desk.start(args('--force'));
        const outcome = await killAfter(running, ms, signal);
        // Before the program listens the signal itself ends it; after the end nothing is left to be ended.
        if (outcome.signal === null && outcome.status !== 0) {
          expect(failureOf(outcome).summary).toBe('130 TSB_INTERRUPTED');
        }
        const finished = outcome.status === 0;
        expect(hash(desk.file('small.img')) === before).toBe(!finished);
        const left = await litter(desk, ['small.img']);
        expect(left.filter((item) => !item.startsWith('sha512/'))).toEqual([]);
        const next = await desk.run(args('--force'));
        resultOf(next);
        expect(examineDisk(desk.file('small.img'))).toMatchObject({ complaints: [], payloadIntact: true });
      }),
      3,
    );
  });
});

it('a partial download is resumed by the next build', async () => {
  await using desk = await newDesk();
  const partial = `${desk.cache}/partial/${stage.template.sha512}`;
  const running = desk.start(args());
  const half = stage.template.xz.length >> 1;
  while ((statSync(partial, { throwIfNoEntry: false })?.size ?? 0) < half) await sleep(10);
  running.child.kill('SIGINT');
  expect(failureOf(await running.ended).summary).toBe('130 TSB_INTERRUPTED');
  expect(await litter(desk)).toEqual([]);
  stage.server.requests.length = 0;
  resultOf(await desk.run(args()));
  const first = stage.server.requests.map(({ headers }) => /^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1]);
  expect(first.filter((text) => Number(text) >= half - 65_536)).toHaveLength(1);
  expect(examineDisk(desk.file('small.img')).payloadIntact).toBe(true);
});

it('SIGKILL: the old disk stays, the next build works and sweeps up', async () => {
  await inTurns(
    moments().map((ms) => async () => {
      const { desk, before } = await deskWithDisk();
      await using _ = desk;
      const outcome = await killAfter(desk.start(args('--force')), ms, 'SIGKILL');
      const names = readdirSync(desk.work);
      const backup = names.find((name) => name.endsWith('.old.tsb'));
      if (outcome.status !== 0) {
        // Between exchange and unlink both disks are there, whole.
        const kept = [desk.file('small.img'), ...(backup === undefined ? [] : [desk.file(backup)])].map(hash);
        const temps = names.filter((name) => name.endsWith('.tsb')).map((name) => hash(desk.file(name)));
        expect([...kept, ...temps]).toContain(before);
      }
      resultOf(await desk.run(args('--force')));
      expect(readdirSync(desk.work)).toEqual(['small.img']);
      expect(readdirSync(`${desk.cache}/locks`)).toEqual([]);
      expect(readdirSync(`${desk.cache}/partial`)).toEqual([]);
      expect(examineDisk(desk.file('small.img'))).toMatchObject({ complaints: [], payloadIntact: true });
    }),
    3,
  );
});
