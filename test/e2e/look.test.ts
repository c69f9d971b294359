import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { run } from '../helpers/disk.js';
import { type Desk, failureOf, newDesk, resultOf } from '../helpers/e2e.js';
import { type Stage, openStage } from '../helpers/e2e-stage.js';
import { PAYLOAD, ROOT, flipBit, sha512 } from '../helpers/e2e-template.js';

vi.setConfig({ testTimeout: 60_000 });

let stage: Stage;
let desk: Desk;
let packed: string;
beforeAll(async () => {
  stage = await openStage();
  desk = await newDesk();
  packed = `${stage.folder}/template.img.xz`;
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  await desk[Symbol.asyncDispose]();
});

const device = (): string => `${stage.template.raw}?offset=${ROOT.offset}`;

/** What debugfs, another reader, finds in a folder of the template. */
const byDebugfs = (folder: string): string[] =>
  run('debugfs', ['-R', `ls -p ${folder}`, device()])
    .split('\n')
    .map((line) => line.split('/')[5] ?? '')
    .filter((name) => !['', '.', '..'].includes(name))
    .sort();

describe('ls', () => {
  it('lists what debugfs lists, from every kind of image', async () => {
    const qcow2 = desk.file('disk.qcow2');
    run('qemu-img', ['convert', '-O', 'qcow2', stage.template.raw, qcow2]);
    run('sh', ['-c', 'gzip -1 -c "$0" > "$1"', stage.template.raw, desk.file('disk.gz')]);
    run('zstd', ['-q', '-f', stage.template.raw, '-o', desk.file('disk.zst')]);
    for (const image of [packed, stage.template.raw, 'disk.qcow2', 'disk.gz', 'disk.zst', `${packed}:2`]) {
      const { status, stdout, stderr } = await desk.run(['ls', image, '/etc']);
      expect(status, stderr).toBe(0);
      expect(stdout.toString().trimEnd().split('\n')).toEqual(byDebugfs('/etc'));
    }
  });

  it('lists a template, with everything below, as data', async () => {
    const outcome = await desk.run(['ls', 'small', '/', '-R', '--json', ...stage.source]);
    const { files, partition } = resultOf(outcome) as { partition: number; files: { path: string }[] };
    expect(partition).toBe(2);
    expect(files).toContainEqual(
      expect.objectContaining({ path: PAYLOAD.path, type: 'file', size: PAYLOAD.data.length }),
    );
    expect(files.map(({ path }) => path)).toContain('/etc/os-release');
  });

  it('shows details, and link targets', async () => {
    const { stdout } = await desk.run(['ls', '-l', packed, '/etc/os-release']);
    expect(stdout.toString()).toMatch(
      /^lrwxrwxrwx +1 +0 +0 +21 \d{4}-\d\d-\d\d \d\d:\d\d \/etc\/os-release -> \.\.\/usr\/lib\/os-release\n$/,
    );
  });

  it('takes an image for what it is told to be', async () => {
    // Whoever has a disk can write the header of a qcow2 image in front of its partitions.
    const decoy = desk.file('decoy.img');
    run('cp', ['--sparse=always', stage.template.raw, decoy]);
    run('sh', ['-c', `printf 'QFI\\373' | dd of="$0" conv=notrunc status=none`, decoy]);
    run('sh', ['-c', 'xz -1 -c "$0" > "$0.xz"', decoy]);
    for (const args of [
      ['decoy.img', '--format', 'raw'],
      ['decoy.img', '--input-format', 'raw'],
      ['decoy.img.xz', '--format', 'xz'],
    ]) {
      const { status, stdout, stderr } = await desk.run(['ls', ...args, '/etc']);
      expect(status, stderr).toBe(0);
      expect(stdout.toString().trimEnd().split('\n')).toEqual(byDebugfs('/etc'));
    }
    for (const args of [['decoy.img'], ['decoy.img.xz'], [packed, '--format', 'qcow2']]) {
      const { summary } = failureOf(await desk.run(['ls', ...args, '/etc', '--json']));
      expect(summary).toBe('5 TSB_IMAGE_INVALID');
    }
  });

  it('says what it cannot do', async () => {
    const failed = async (...args: string[]): Promise<ReturnType<typeof failureOf>> =>
      failureOf(await desk.run(['ls', ...args, '--json']));
    expect((await failed(packed, '/nowhere')).summary).toBe('3 TSB_NOT_FOUND');
    expect(await failed(`${packed}:1`)).toMatchObject({
      summary: '8 TSB_FILESYSTEM',
      message: expect.stringContaining('vfat') as string,
      hint: expect.stringContaining('guestfish') as string,
    });
    expect((await failed(packed, '-p', '7')).summary).toBe('8 TSB_PARTITION_NOT_FOUND');
    expect((await failed(`${packed}:1`, '-p', '2')).summary).toBe('2 TSB_USAGE');
    expect((await failed('./none.img')).summary).toBe('3 TSB_NOT_FOUND');
  });
});

describe('cat', () => {
  it('prints the bytes, of one file and of several', async () => {
    const one = await desk.run(['cat', packed, PAYLOAD.path]);
    expect(one.status, one.stderr).toBe(0);
    expect(sha512(one.stdout)).toBe(sha512(PAYLOAD.data));
    const two = await desk.run(['cat', packed, '/etc/os-release', 'etc/os-release']);
    const text = run('debugfs', ['-R', 'cat /usr/lib/os-release', device()]);
    expect(two.stdout.toString()).toBe(`${text}${text}`);
    expect(resultOf(await desk.run(['cat', packed, '/etc/os-release', '--json']))).toEqual({
      src: packed,
      partition: 2,
      files: [{ path: '/etc/os-release', size: text.length, text }],
    });
  });

  it('fetches only the blocks that it needs', async () => {
    const bytes = stage.template.xz;
    stage.server.files['/big.xz'] = { data: bytes };
    stage.forget();
    const { status, stderr, stdout } = await desk.run([
      'cat',
      `${stage.server.url}/big.xz`,
      '/etc/os-release',
    ]);
    expect(status, stderr).toBe(0);
    expect(stdout.toString()).toContain('bookworm');
    const fetched = stage.server.requests
      .map(({ headers }) => /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? ''))
      .reduce((sum, range) => sum + (range ? Number(range[2]) - Number(range[1]) + 1 : bytes.length), 0);
    expect(fetched).toBeGreaterThan(0);
    expect(fetched / bytes.length).toBeLessThan(0.25);
  });

  it('ends quietly when its reader goes', async () => {
    const { status, stderr } = await desk.run(['cat', packed, PAYLOAD.path], {
      wrapper: [
        'bash',
        '-c',
        'set -o pipefail; "$@" | head -c 10 > /dev/null; exit ${PIPESTATUS[0]}',
        'bash',
      ],
    });
    expect([status, stderr]).toEqual([141, '']);
  });

  it('never prints what fails a check', async () => {
    // Every block but the first is damaged in its middle.
    const damaged = Buffer.from(stage.template.xz);
    const list = run('xz', ['--robot', '-lvv', packed]).split('\n');
    for (const line of list.filter((each) => each.startsWith('block')).slice(1)) {
      const fields = line.split('\t');
      const [offset, size] = [Number(fields[4]), Number(fields[6])];
      damaged.set(
        flipBit(damaged.subarray(offset + size / 2, offset + size / 2 + 1), 0),
        offset + Math.floor(size / 2),
      );
    }
    writeFileSync(desk.file('damaged.xz'), damaged);
    const outcome = await desk.run(['cat', 'damaged.xz', '/etc/os-release']);
    expect(outcome.status).not.toBe(0);
    expect(outcome.stdout.length).toBe(0);
  });

  it('refuses what is no file', async () => {
    expect(failureOf(await desk.run(['cat', packed, '/etc', '--json']))).toMatchObject({
      summary: '8 TSB_GUEST',
    });
    expect((await desk.run(['cat', packed])).status).toBe(2);
  });
});
