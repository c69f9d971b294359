import {
  copyFileSync,
  existsSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { MIB, makeDisk, patch, run } from '../helpers/disk.js';
import { type Desk, type Outcome, failureOf, inTurns, litter, newDesk, resultOf } from '../helpers/e2e.js';
import { TAIL } from '../helpers/e2e-disk.js';
import { type Stage, openStage } from '../helpers/e2e-stage.js';
import { ROOT, TEMPLATE_SIZE, flipBit, noise, sha512 } from '../helpers/e2e-template.js';

// Several runs of the program in most tests.
vi.setConfig({ testTimeout: 120_000 });

let stage: Stage;
let desk: Desk;
let packed: string;
beforeAll(async () => {
  stage = await openStage();
  desk = await newDesk();
  packed = join(stage.folder, 'template.img.xz');
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  await desk[Symbol.asyncDispose]();
});

const hash = (path: string): string => sha512(readFileSync(path));
const ok = (outcome: Outcome): Outcome => {
  resultOf(outcome);
  return outcome;
};

describe('unxz', () => {
  it('writes a sparse file, a qcow2 disk, and standard output', async () => {
    const [file, , piped] = await inTurns([
      () => desk.run(['unxz', packed, 'disk.img', '--json']).then(ok),
      () =>
        desk
          .run(['unxz', packed, 'disk.qcow2', '--format', 'qcow2', '--compress', 'zlib', '--json'])
          .then(ok),
      () => desk.run(['unxz', packed, '-']),
    ]);
    expect(resultOf(file!)).toMatchObject({
      output: desk.file('disk.img'),
      size: TEMPLATE_SIZE,
      packedSize: stage.template.xz.length,
      allocated: statSync(desk.file('disk.img')).blocks * 512,
    });
    expect(hash(desk.file('disk.img'))).toBe(hash(stage.template.raw));
    expect(statSync(desk.file('disk.img')).blocks * 512).toBeLessThan(16 * MIB);
    expect(piped?.status).toBe(0);
    expect(sha512(piped!.stdout)).toBe(hash(stage.template.raw));
    run('qemu-img', ['check', desk.file('disk.qcow2')]);
    const compared = run('qemu-img', ['compare', desk.file('disk.qcow2'), stage.template.raw]);
    expect(compared).toContain('Images are identical.');
  });

  it('reads from a server, and names the output by itself', async () => {
    stage.forget();
    await desk.run(['unxz', `${stage.server.url}/repo/small.xz`, '--json']).then(ok);
    expect(hash(desk.file('small'))).toBe(hash(stage.template.raw));
    copyFileSync(packed, desk.file('copy.img.xz'));
    await desk.run(['unxz', 'copy.img.xz', '--json']).then(ok);
    expect(hash(desk.file('copy.img'))).toBe(hash(stage.template.raw));
  });

  it('refuses what it cannot do, and leaves what there is', async () => {
    await using fresh = await newDesk();
    writeFileSync(fresh.file('plain.xz'), 'no xz at all');
    writeFileSync(fresh.file('empty.xz'), '');
    writeFileSync(fresh.file('taken'), 'mine');
    const failures = await inTurns(
      [
        ['plain.xz'],
        ['empty.xz'],
        ['missing.xz'],
        [packed, 'taken'],
        ['taken'],
        [packed, 'x', '--format', 'qcow2', '--cluster-size', '1000'],
        [packed, 'x', '--cluster-size', '4096'],
        [`${stage.server.url}/repo/none.xz`, 'x'],
        [packed, '-', '--json'],
        [packed, '-', '--format', 'qcow2'],
      ].map((args) => () => fresh.run(['unxz', ...args, '--json']).then(failureOf)),
    );
    expect(failures.map(({ summary }) => summary)).toEqual([
      '5 TSB_XZ_UNSUPPORTED',
      '5 TSB_XZ_UNSUPPORTED',
      '3 TSB_NOT_FOUND',
      '7 TSB_OUTPUT_EXISTS',
      '2 TSB_USAGE',
      '2 TSB_USAGE',
      '2 TSB_USAGE',
      '6 TSB_HTTP_STATUS',
      '2 TSB_USAGE',
      '2 TSB_USAGE',
    ]);
    expect(await litter(fresh, ['plain.xz', 'empty.xz', 'taken'])).toEqual([]);
    expect(readFileSync(fresh.file('taken'), 'utf8')).toBe('mine');
  });

  it('damage in the first of two large blocks ends a pipe, not hangs it', async () => {
    const half = 80 * MIB;
    writeFileSync(
      desk.file('large'),
      Buffer.concat(
        Array.from({ length: (2 * half) / MIB }, (_, i) => Buffer.alloc(MIB, noise(4096, `${i}`))),
      ),
    );
    run('xz', ['-k', '-1', '-T2', `--block-size=${half}`, desk.file('large')]);
    const data = readFileSync(desk.file('large.xz'));
    // The integrity check of the first block: its last eight bytes.
    const [, first] = run('xz', ['--robot', '-lvv', desk.file('large.xz')])
      .split('\n')
      .filter((line) => line.startsWith('block'))
      .map((line) => line.split('\t'));
    writeFileSync(desk.file('bad.xz'), flipBit(data, Number(first?.[4]) - 3));
    const outcome = await desk.run(['unxz', 'bad.xz', '-']);
    expect(outcome.status).toBe(5);
    expect(outcome.stderr).toContain('TSB_XZ_CORRUPT');
    expect(outcome.stdout.length).toBeLessThanOrEqual(half);
  });

  it('heeds a signal while nobody reads the pipe', async () => {
    const { child, ended } = desk.start(['unxz', packed, '-']);
    child.stdout?.pause();
    const exit = new Promise((resolve) => child.once('exit', resolve));
    await new Promise((resolve) => child.stderr?.once('data', resolve));
    // Long enough for the pipe to be full; right in any case.
    await new Promise((resolve) => setTimeout(resolve, 500));
    child.kill('SIGTERM');
    expect(await exit).toBe(130);
    child.stdout?.resume();
    expect((await ended).stderr).toContain('TSB_INTERRUPTED');
  });

  it('ends when nobody reads the pipe any more', async () => {
    const running = desk.start(['unxz', packed, '-']);
    running.child.stdout?.once('data', () => running.child.stdout?.destroy());
    const { status } = await running.ended;
    expect(status).not.toBe(0);
  });
});

describe('info', () => {
  it('describes a template by its name, and verifies it', async () => {
    // A file of the template's name would be meant.
    rmSync(desk.file('small'), { force: true });
    const image = resultOf(await desk.run(['info', 'small', '--json', ...stage.source]));
    expect(image).toMatchObject({ format: 'xz', size: stage.template.xz.length, virtualSize: TEMPLATE_SIZE });
    const missing = await desk.run(['info', 'no-such', '--json', ...stage.source]);
    expect(failureOf(missing)).toMatchObject({
      summary: '3 TSB_NOT_FOUND',
      message: expect.stringContaining('no-such: no such file, and no template') as string,
    });
  });

  it('tells the same of xz, raw and qcow2', async () => {
    run('qemu-img', ['convert', '-O', 'qcow2', stage.template.raw, desk.file('for-info.qcow2')]);
    const images = await inTurns(
      [packed, stage.template.raw, 'for-info.qcow2'].map(
        (path) => () =>
          desk
            .run(['info', path, '--json'])
            .then(
              (outcome) =>
                resultOf(outcome) as { format: string; virtualSize: number; zeroBytes: number; disk: object },
            ),
      ),
    );
    expect(images.map(({ format }) => format)).toEqual(['xz', 'raw', 'qcow2']);
    for (const image of images) {
      expect(image.virtualSize).toBe(TEMPLATE_SIZE);
      expect(image.zeroBytes).toBeGreaterThan(TEMPLATE_SIZE - 24 * MIB);
      expect(image.disk).toEqual(images[0]?.disk);
      expect(image.disk).toMatchObject({
        table: 'gpt',
        partitions: [
          { number: 1, content: { kind: 'fat', label: 'ESP' } },
          {
            number: 2,
            offset: ROOT.offset,
            length: ROOT.length,
            content: { kind: 'ext', size: ROOT.length },
          },
        ],
      });
    }
    const text = await desk.run(['info', packed, '--blocks']);
    expect(text.stdout.toString()).toMatch(/ext4/);
  });

  it('reads a small part of a file on a server', async () => {
    stage.forget();
    const url = `${stage.server.url}/repo/small.xz`;
    const image = resultOf(await desk.run(['info', url, '--json']));
    expect(image).toMatchObject({ format: 'xz', name: url, virtualSize: TEMPLATE_SIZE });
    const asked = stage.server.requests.map(({ headers }) => /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? ''));
    expect(asked).not.toContain(null);
    const bytes = asked.reduce((sum, range) => sum + Number(range?.[2]) - Number(range?.[1]) + 1, 0);
    expect(bytes).toBeLessThan(stage.template.xz.length * 0.1);
  });

  it('says why, when there is nothing to tell', async () => {
    stage.forget();
    writeFileSync(desk.file('cut.xz'), stage.template.xz.subarray(0, 5000));
    const failures = await inTurns(
      ['missing.xz', 'cut.xz', 'ftp://localhost/x'].map(
        (src) => () => desk.run(['info', src, '--json']).then(failureOf),
      ),
    );
    expect(failures.map(({ summary }) => summary)).toEqual([
      '3 TSB_NOT_FOUND',
      '5 TSB_XZ_CORRUPT',
      '2 TSB_USAGE',
    ]);
  });
});

describe('resize', () => {
  const target = 300 * MIB;
  const length = target - ROOT.offset - TAIL;

  it('makes a grown copy of xz, raw and qcow2 disks', async () => {
    run('qemu-img', ['convert', '-O', 'qcow2', stage.template.raw, desk.file('in.qcow2')]);
    const before = hash(stage.template.raw);
    await inTurns([
      () => desk.run(['resize', packed, 'from-xz.img', '--size', '300M', '--json']).then(ok),
      () => desk.run(['resize', stage.template.raw, 'from-raw.img', '--size', '+140M', '--json']).then(ok),
      () =>
        desk
          .run(['resize', 'in.qcow2', 'out.qcow2', '--size', '300M', '--format', 'qcow2', '--json'])
          .then(ok),
    ]);
    run('qemu-img', ['check', desk.file('out.qcow2')]);
    run('qemu-img', ['convert', '-O', 'raw', desk.file('out.qcow2'), desk.file('from-qcow2.img')]);
    for (const name of ['from-xz.img', 'from-raw.img', 'from-qcow2.img']) {
      run('e2fsck', ['-fn', `${desk.file(name)}?offset=${ROOT.offset}`]);
      const info = resultOf(await desk.run(['info', name, '--json'])) as { disk: { partitions: unknown[] } };
      expect(info.disk.partitions[1]).toMatchObject({ length, content: { size: length } });
    }
    expect(hash(stage.template.raw)).toBe(before);
  });

  it('grows a raw disk in place', async () => {
    run('cp', ['--sparse=always', stage.template.raw, desk.file('place.img')]);
    const dry = await desk.run([
      'resize',
      'place.img',
      '--in-place',
      '--size',
      '300M',
      '--dry-run',
      '--json',
    ]);
    expect(resultOf(dry)).toMatchObject({ resize: { targetSize: target } });
    expect(hash(desk.file('place.img'))).toBe(hash(stage.template.raw));
    const result = await desk.run(['resize', 'place.img', '--in-place', '--size', '300M', '--json']);
    expect(resultOf(result)).toMatchObject({ grown: [{ partition: 2, newSize: length }] });
    expect(result.stdout.length).toBeLessThan(8192);
    run('e2fsck', ['-fn', `${desk.file('place.img')}?offset=${ROOT.offset}`]);
    expect(run('sgdisk', ['-v', desk.file('place.img')])).toContain('No problems found');
  });

  it('an interruption does not stop it between the table and the filesystem', async () => {
    const delays = [150, 250, 350, 450, 550, 650];
    await inTurns(
      delays.map((delay) => async () => {
        const name = `stopped-${delay}.img`;
        run('cp', ['--sparse=always', stage.template.raw, desk.file(name)]);
        const running = desk.start(['resize', name, '--in-place', '--size', '300M', '--json']);
        setTimeout(() => running.child.kill('SIGTERM'), delay);
        await running.ended;
        run('e2fsck', ['-fn', `${desk.file(name)}?offset=${ROOT.offset}`]);
        expect(run('sgdisk', ['-v', desk.file(name)])).toContain('No problems found');
        expect([TEMPLATE_SIZE, target]).toContain(statSync(desk.file(name)).size);
      }),
    );
  });

  it('refuses what it cannot do, and leaves the disks as they were', async () => {
    await using fresh = await newDesk();
    run('cp', ['--sparse=always', stage.template.raw, fresh.file('in.img')]);
    run('cp', ['--sparse=always', stage.template.raw, fresh.file('sick.img')]);
    patch(fresh.file('sick.img'), ROOT.offset + 1024, noise(1024));
    makeDisk(fresh.file('empty.img'), 8 * MIB, 'label: gpt\nsize=2M\n');
    copyFileSync(packed, fresh.file('in.xz'));
    const names = readdirSync(fresh.work).sort();
    const before = names.map((name) => hash(fresh.file(name)));
    const failures = await inTurns(
      [
        ['in.img', 'out.img', '--size', '100M'],
        ['in.img', '--in-place', '--size', '100M'],
        ['in.xz', '--in-place', '--size', '300M'],
        ['in.img', '--size', '300M'],
        ['in.img', 'out.img', '--in-place', '--size', '300M'],
        ['in.img', 'in.xz', '--size', '300M'],
        ['in.img', 'out.x', '--size', '300M', '--format', 'bogus'],
        ['in.img', 'out.img', '--size', '300M', '--expand', '7'],
        ['empty.img', 'out.img', '--size', '300M'],
        ['sick.img', '--in-place', '--size', '300M'],
        ['none.img', 'out.img', '--size', '300M'],
      ].map((args) => () => fresh.run(['resize', ...args, '--json']).then(failureOf)),
    );
    expect(failures.map(({ summary }) => summary)).toEqual([
      '2 TSB_TOO_SMALL',
      '2 TSB_TOO_SMALL',
      '2 TSB_USAGE',
      '2 TSB_USAGE',
      '2 TSB_USAGE',
      '7 TSB_OUTPUT_EXISTS',
      '2 TSB_USAGE',
      '8 TSB_PARTITION_NOT_FOUND',
      '8 TSB_PARTITION_NOT_FOUND',
      '8 TSB_PARTITION_NOT_FOUND',
      '3 TSB_NOT_FOUND',
    ]);
    expect(readdirSync(fresh.work).sort()).toEqual(names);
    expect(names.map((name) => hash(fresh.file(name)))).toEqual(before);
    expect(existsSync(fresh.file('out.img'))).toBe(false);
  });
});
