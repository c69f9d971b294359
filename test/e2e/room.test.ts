import { randomBytes } from 'node:crypto';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { MIB, makeSparse, run } from '../helpers/disk.js';
import { extentStates, requireExt4 } from '../helpers/disk-tools.js';
import {
  type Desk,
  type Outcome,
  cachedContent,
  failureOf,
  inTurns,
  litter,
  newDesk,
  resultOf,
} from '../helpers/e2e.js';
import { examineDisk } from '../helpers/e2e-disk.js';
import { type Stage, openStage } from '../helpers/e2e-stage.js';
import { sha512 } from '../helpers/e2e-template.js';
import { SMALL_DEBIAN, makeSystemDisk } from '../helpers/system-disk.js';

vi.setConfig({ testTimeout: 180_000 });

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage[Symbol.asyncDispose]());

/**
 * Runs the program where `script` has prepared mounts: in a namespace of its own, as its root. The names of what is in
 * `folder` at the end come after the program's output.
 */
async function runMounted(
  desk: Desk,
  mount: { script: string; folder: string },
  args: readonly string[],
): Promise<{ outcome: Outcome; left: string[] }> {
  const script = `${mount.script} || exit 99; "$@"; status=$?; echo; echo "--- left"; find ${mount.folder} -mindepth 1 -type f -o -mindepth 1 -type l; exit $status`;
  const outcome = await desk.run(args, { wrapper: ['unshare', '-Urm', 'sh', '-c', script, 'sh'] });
  const [said = '', left = ''] = outcome.stdout.toString().split('--- left\n');
  return {
    outcome: { ...outcome, stdout: Buffer.from(said) },
    left: left.split('\n').filter((name) => name !== ''),
  };
}

describe('a full disk', () => {
  it('under the output: one error, nothing left, before or while writing', async () => {
    await using desk = await newDesk();
    const folder = desk.work;
    const found = await inTurns(
      ['64k', '2m', '3m', '4m'].flatMap((size) =>
        [
          ['--size', '+64M'],
          ['--format', 'qcow2'],
        ].map((options) => async () => {
          const script = `mount -t tmpfs -o size=${size} none ${folder}`;
          const source = size === '2m' ? stage.source : stage.localSource;
          const run = await runMounted(desk, { script, folder }, [
            'small',
            ...source,
            '-o',
            join(folder, 'disk'),
            ...options,
            '--json',
          ]);
          return { ...failureOf(run.outcome), left: run.left };
        }),
      ),
    );
    expect(found.map(({ summary }) => summary)).toEqual(found.map(() => '7 TSB_NO_SPACE'));
    expect(found.flatMap(({ left }) => left)).toEqual([]);
    for (const { message } of found) expect(message).toMatch(/free|space/);
  });

  it('under a disk that is changed itself: one error, the disk is as it was', async () => {
    await using desk = await newDesk();
    const folder = desk.work;
    const original = makeSystemDisk(SMALL_DEBIAN);
    const file = join(desk.path, 'file');
    writeFileSync(file, randomBytes(4 * MIB));
    const disk = join(folder, 'disk.img');
    const script = `{ mount -t tmpfs -o size=4m none ${folder} && cp --sparse=always ${original} ${disk}; } || exit 99
      dd if=/dev/zero of=${join(folder, 'fill')} bs=4k 2>/dev/null; "$@"; status=$?; cmp ${original} ${disk} || exit 98; exit $status`;
    const args = ['customize', disk, '--no-backup', '--upload', `${file}:/root/file`, '--json'];
    const outcome = await desk.run(args, { wrapper: ['unshare', '-Urm', 'sh', '-c', script, 'sh'] });
    const { summary, message } = failureOf(outcome);
    expect(summary).toBe('7 TSB_NO_SPACE');
    expect(message).toMatch(/needed and only 0 B are free/);
  });

  it('under the cache: one error, no content in the cache', async () => {
    await using desk = await newDesk();
    const folder = join(desk.path, 'home');
    const script = `mount -t tmpfs -o size=1m none ${folder}`;
    const [with_, without] = await inTurns([
      () => runMounted(desk, { script, folder }, ['small', ...stage.source, '--json']),
      () =>
        runMounted(desk, { script, folder }, [
          'small',
          ...stage.source,
          '--no-cache',
          '--json',
          '-o',
          'b.img',
        ]),
    ]);
    expect(failureOf(with_!.outcome).summary).toBe('7 TSB_NO_SPACE');
    expect(with_!.left.filter((path) => /sha512|locks/.test(path))).toEqual([]);
    resultOf(without!.outcome);
    expect(await litter(desk, ['b.img'])).toEqual([]);
    resultOf(await desk.run(['small', ...stage.source, '--json']));
  });
});

describe('a full temporary folder', () => {
  it('stops the drivers that are asked what is free: one error that names it, nothing left', async () => {
    await using desk = await newDesk();
    run('mkfs.xfs', ['-q', '-K', makeSparse(desk.file('disk.img'), 300 * MIB)]);
    const folder = join(desk.path, 'tmp');
    const script = `mount -t tmpfs -o size=1300k none ${folder}`;
    const env =
      'LIBGUESTFS_BACKEND=direct LIBGUESTFS_BACKEND_SETTINGS=force_tcg LIBGUESTFS_CACHEDIR=/var/tmp';
    const { outcome, left } = await runMounted(desk, { script: `export ${env}; ${script}`, folder }, [
      ...['sparsify', 'disk.img', 'sparse.img', '--json'],
    ]);
    const { summary, message, hint } = failureOf(outcome);
    expect([summary, left]).toEqual(['7 TSB_NO_SPACE', []]);
    expect(message).toContain('overlay.qcow2');
    expect(hint).toContain('TMPDIR');
    expect(await litter(desk, ['disk.img'])).toEqual([]);
  });
});

describe('a folder that cannot be written', () => {
  it('is refused before anything is asked of the server', async () => {
    await using desk = await newDesk();
    stage.forget();
    const script = `mount --bind ${desk.work} ${desk.work} && mount -o remount,bind,ro ${desk.work}`;
    const { outcome, left } = await runMounted(desk, { script, folder: desk.work }, [
      'small',
      ...stage.source,
      '--json',
    ]);
    expect(failureOf(outcome).summary).toBe('7 TSB_OUTPUT_UNUSABLE');
    expect(left).toEqual([]);
    expect(stage.server.requests).toEqual([]);
  });

  it('as a cache costs a warning, not the build', async () => {
    await using desk = await newDesk();
    writeFileSync(join(desk.path, 'file'), '');
    const cache = join(desk.path, 'file', 'cache');
    const outcome = await desk.run(['small', ...stage.source, '--cache', cache, '--json']);
    resultOf(outcome);
    expect(outcome.stderr).toMatch(/"type":"warning".*cannot be used/);
    expect(await litter(desk, ['small.img'])).toEqual([]);
  });
});

describe('several at once', () => {
  it('two builds of one output: one makes it, the other is refused', async () => {
    await using desk = await newDesk();
    stage.forget();
    stage.server.fault = ({ path }) => (path.endsWith('.xz') ? { slowMs: 4 } : undefined);
    const outcomes = await Promise.all(
      ['one', 'two'].map((seed) => desk.run(['small', ...stage.source, '--seed', seed, '--json'])),
    );
    stage.forget();
    const failures = outcomes
      .filter(({ status }) => status !== 0)
      .map((outcome) => failureOf(outcome).summary);
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatch(/^7 TSB_(LOCKED|OUTPUT_EXISTS)$/);
    expect(examineDisk(desk.file('small.img'))).toMatchObject({ complaints: [], payloadIntact: true });
    expect(readdirSync(desk.work)).toEqual(['small.img']);
  });

  it('twenty builds of one template: one download', async () => {
    await using desk = await newDesk();
    stage.forget();
    const names = Array.from({ length: 20 }, (_, index) => `disk-${index}.img`);
    const outcomes = await Promise.all(
      names.map((name) => desk.run(['small', ...stage.source, '--seed', 'same', '--json', '-o', name])),
    );
    outcomes.forEach(resultOf);
    const whole = stage.server.requests.filter(
      ({ path, headers }) => path.endsWith('.xz') && headers.range === undefined,
    );
    expect(whole.filter(({ method }) => method === 'GET')).toHaveLength(1);
    expect(await cachedContent(desk)).toEqual([stage.template.sha512]);
    expect(await litter(desk, names)).toEqual([`sha512/${stage.template.sha512}`]);
    expect(new Set(names.map((name) => sha512(readFileSync(desk.file(name))))).size).toBe(1);
    expect(examineDisk(desk.file('disk-7.img')).payloadIntact).toBe(true);
  });
});

describe('no flush', () => {
  it('right after a build the data still waits to be written, for a new output and for one replaced', async () => {
    await using desk = await newDesk();
    requireExt4(desk.work);
    for (const format of ['raw', 'qcow2']) {
      for (const size of ['1G', '2G']) {
        const args = ['small', ...stage.localSource, '--size', size, '--format', format, '--force', '--json'];
        const { output } = resultOf(await desk.run(args)) as { output: string };
        expect({ format, size, ...extentStates(output) }).toEqual({
          format,
          size,
          delayed: expect.any(Number) as number,
          placed: 0,
        });
        expect(extentStates(output).delayed).toBeGreaterThan(512);
      }
    }
  });
});
