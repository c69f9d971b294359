import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { MIB, run } from '../helpers/disk.js';
import { type Desk, cachedContent, failureOf, inTurns, litter, newDesk, resultOf } from '../helpers/e2e.js';
import { TAIL, examineDisk } from '../helpers/e2e-disk.js';
import { type Stage, openStage } from '../helpers/e2e-stage.js';
import { ROOT, TEMPLATE_SIZE, sha512 } from '../helpers/e2e-template.js';

const GIB = 1024 * MIB;

// Several runs of the program in most tests.
vi.setConfig({ testTimeout: 120_000 });

let stage: Stage;
let desk: Desk;
beforeAll(async () => {
  stage = await openStage();
  desk = await newDesk();
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  await desk[Symbol.asyncDispose]();
});

interface BuildResult {
  readonly output: string;
  readonly format: string;
  readonly size: number;
  readonly allocated: number;
  readonly grown: readonly { partition: number; newSize: number }[];
  readonly seeded: readonly string[];
}

async function build(args: readonly string[]): Promise<BuildResult> {
  return resultOf(await desk.run(['small', ...stage.source, '--json', ...args])) as BuildResult;
}

function hash(name: string): string {
  return sha512(readFileSync(desk.file(name)));
}

describe('a raw disk', () => {
  it.each([
    { size: [], name: 'same.img', bytes: TEMPLATE_SIZE },
    { size: ['--size', '+100M'], name: 'more.img', bytes: TEMPLATE_SIZE + 100 * MIB },
    { size: ['--size', '1G'], name: 'large.img', bytes: GIB },
  ])('of $name is whole, grown and seeded', async ({ size, name, bytes }) => {
    const result = await build([...size, '-o', name]);
    expect(result).toMatchObject({ output: desk.file(name), format: 'raw', size: bytes });
    const found = statSync(desk.file(name));
    expect(found.size).toBe(bytes);
    expect(found.blocks * 512).toBe(result.allocated);
    expect(result.allocated).toBeLessThan(24 * MIB);
    const disk = examineDisk(desk.file(name));
    expect(disk.complaints).toEqual([]);
    const length = bytes - ROOT.offset - TAIL;
    expect(disk).toMatchObject({ rootPartition: length, rootFilesystem: length, payloadIntact: true });
    expect(disk.machineId).toMatch(/^[0-9a-f]{32}\n$/);
    expect(disk.randomSeed).toMatchObject({ mode: '0600', owner: '0:0' });
    expect(disk.randomSeed.bytes).toHaveLength(512);
    expect(new Set(disk.randomSeed.bytes).size).toBeGreaterThan(100);
  });

  it('has a seed and a machine-id of its own in every build', async () => {
    const names = ['first.img', 'second.img'];
    await inTurns(names.map((name) => () => build(['-o', name])));
    const [first, second] = names.map((name) => examineDisk(desk.file(name)));
    expect(first?.machineId).not.toBe(second?.machineId);
    expect(first?.randomSeed.bytes).not.toEqual(second?.randomSeed.bytes);
  });

  it('can keep or empty the machine-id', async () => {
    await inTurns(['keep', 'empty'].map((how) => () => build(['-o', `${how}.img`, '--machine-id', how])));
    expect(examineDisk(desk.file('keep.img')).machineId).toBe('uninitialized\n');
    expect(examineDisk(desk.file('empty.img')).machineId).toBe('');
  });

  it('with --sync is the same', async () => {
    await build(['-o', 'synced.img', '--sync']);
    expect(examineDisk(desk.file('synced.img'))).toMatchObject({ complaints: [], payloadIntact: true });
  });

  it('takes its default name from the template and the format', async () => {
    const results = await inTurns([() => build([]), () => build(['--format', 'qcow2'])]);
    expect(results.map(({ output }) => output)).toEqual([desk.file('small.img'), desk.file('small.qcow2')]);
    expect(readdirSync(desk.work)).toEqual(expect.arrayContaining(['small.img', 'small.qcow2']));
  });
});

describe('with --seed', () => {
  const seeded = ['--size', '256M', '--seed', 'one'];
  beforeAll(async () => {
    await build([...seeded, '-o', 'seeded.img']);
  });

  it('the same options give the same bytes, another seed others', async () => {
    await inTurns([
      () => build([...seeded, '-o', 'again.img', '--jobs', '1']),
      () => build(['--size', '256M', '--seed', 'two', '-o', 'other.img']),
    ]);
    expect(hash('again.img')).toBe(hash('seeded.img'));
    expect(hash('other.img')).not.toBe(hash('seeded.img'));
  });

  it.each([
    ['qcow2', []],
    ['qcow2', ['--compress', 'zlib']],
    ['qcow2', ['--compress', 'zstd']],
    ['qcow2', ['--cluster-size', '4096']],
    ['vmdk', []],
    ['vdi', []],
    ['vhdx', []],
  ])('a %s disk %j holds the same as the raw one', async (format, options) => {
    const name = `disk${options.join('')}.${format}`;
    const { size } = await build([...seeded, '--format', format, ...options, '-o', name]);
    expect(size).toBe(256 * MIB);
    if (format !== 'vmdk') run('qemu-img', ['check', '-f', format, desk.file(name)]);
    const compared = run('qemu-img', [
      ...['compare', '-f', format, '-F', 'raw'],
      ...[desk.file(name), desk.file('seeded.img')],
    ]);
    expect(compared).toContain('Images are identical.');
  });

  it('the same from a path as from a server', async () => {
    const args = ['small', ...stage.localSource, ...seeded, '-o', 'local.img', '--json'];
    resultOf(await desk.run(args));
    expect(hash('local.img')).toBe(hash('seeded.img'));
  });
});

describe('before a build', () => {
  it('--dry-run says what would be done, and makes nothing', async () => {
    await using fresh = await newDesk();
    const args = ['small', ...stage.source, '--size', '1G', '--dry-run'];
    const { plan } = resultOf(await fresh.run([...args, '--json'])) as {
      plan: { output: string; targetSize: number; resize: { grow: unknown[] } };
    };
    expect(plan).toMatchObject({ output: fresh.file('small.img'), targetSize: GIB });
    expect(plan.resize.grow).toEqual([
      expect.objectContaining({ partition: 2, length: GIB - ROOT.offset - TAIL, content: 'ext' }),
    ]);
    const text = await fresh.run(args);
    expect(text.stdout.toString()).toMatch(/1 GiB/);
    expect(await litter(fresh)).toEqual([]);
  });

  it('--dry-run --offline asks no server', async () => {
    await using fresh = await newDesk();
    resultOf(await fresh.run(['--list', ...stage.source, '--json']));
    stage.forget();
    const args = ['small', ...stage.source, '--dry-run', '--offline', '--json'];
    expect(failureOf(await fresh.run(args)).summary).toBe('6 TSB_OFFLINE');
    expect(stage.server.requests).toEqual([]);
  });

  it('an output that exists is refused before the server is asked anything', async () => {
    await build(['-o', 'taken.img']);
    const before = hash('taken.img');
    stage.forget();
    const args = ['small', ...stage.source, '-o', 'taken.img', '--json'];
    expect(failureOf(await desk.run(args)).summary).toBe('7 TSB_OUTPUT_EXISTS');
    expect(stage.server.requests).toEqual([]);
    expect(hash('taken.img')).toBe(before);
    await build(['-o', 'taken.img', '--force', '--size', '+10M']);
    expect(hash('taken.img')).not.toBe(before);
    expect(examineDisk(desk.file('taken.img')).complaints).toEqual([]);
  });

  it.each([
    [['--format', 'bogus'], '2 TSB_USAGE'],
    [['--size', '100M'], '2 TSB_TOO_SMALL'],
    [['--size', '10 GB'], '2 TSB_USAGE'],
    [['--expand', '/dev/sda9', '--size', '1G'], '8 TSB_PARTITION_NOT_FOUND'],
    [['--cluster-size', '12345', '--format', 'qcow2'], '2 TSB_USAGE'],
    [['--compress', 'zlib'], '2 TSB_USAGE'],
    [['--cluster-size', '4096', '--dry-run'], '2 TSB_USAGE'],
    [['-o', 'no/such/folder.img'], '7 TSB_OUTPUT_UNUSABLE'],
    [['-o', '/dev/null'], '7 TSB_OUTPUT_UNUSABLE'],
  ])('%j is refused', async (options, summary) => {
    await using fresh = await newDesk();
    stage.forget();
    const outcome = await fresh.run(['small', ...stage.source, ...options, '--json']);
    expect(failureOf(outcome).summary).toBe(summary);
    expect(await litter(fresh)).toEqual([]);
    // A partition is known to be missing only when the start of the template has come.
    if (!summary.startsWith('8')) expect(stage.downloads()).toEqual([]);
  });

  it('an unknown template is not found, and close names are told', async () => {
    const outcome = await desk.run(['smal', ...stage.source, '--json']);
    const failure = failureOf(outcome);
    expect(failure.summary).toBe('3 TSB_NOT_FOUND');
    expect(`${failure.message} ${failure.hint ?? ''}`).toContain('small');
  });
});

describe('the list and the notes', () => {
  it('come as names, in full, and as JSON', async () => {
    const list = (format: string): Promise<string> =>
      desk
        .run(['--list', '--list-format', format, ...stage.source])
        .then(({ stdout, stderr }) => `${stdout.toString()}${stderr}`);
    expect(await list('short')).toMatch(/^small\s+\S+\s+A small system$/m);
    const long = await list('long');
    expect(long).toMatch(/^Full name:\s+A small system$/m);
    expect(long).toMatch(/^Minimum\/default size:\s+160(\.0)?\s*M/m);
    const json = JSON.parse(await list('json')) as {
      version: number;
      sources: unknown[];
      templates: object[];
    };
    expect(json.version).toBe(1);
    expect(json.sources).toEqual([expect.objectContaining({ uri: `${stage.server.url}/repo/index.asc` })]);
    expect(json.templates).toContainEqual(
      expect.objectContaining({
        'os-version': 'small',
        'full-name': 'A small system',
        size: TEMPLATE_SIZE,
        'compressed-size': String(stage.template.xz.length),
        format: 'raw',
      }),
    );
  });

  it('--notes prints the notes', async () => {
    const { status, stdout } = await desk.run(['--notes', 'small', ...stage.source]);
    expect(status).toBe(0);
    expect(stdout.toString()).toContain('Made for tests.');
  });
});

describe('output for people and for programs', () => {
  it('--json: one result on standard output, progress as JSON lines on standard error', async () => {
    const outcome = await desk.run(['small', ...stage.source, '-o', 'json.img', '--size', '+1M', '--json']);
    expect(resultOf(outcome) as BuildResult).toMatchObject({
      output: desk.file('json.img'),
      grown: [{ partition: 2, newSize: ROOT.length + MIB }],
      seeded: [expect.stringContaining('random-seed'), expect.stringContaining('machine-id')],
      template: { name: 'small', sha512: stage.template.sha512 },
    });
    const lines = outcome.stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; label?: string; timestamp: string });
    const steps = lines.filter(({ type }) => type === 'step').map(({ label }) => label);
    expect(steps).toEqual(['Decoding', 'Verifying', 'Growing ext4 on partition 2', 'Seeding']);
    expect(lines.every(({ timestamp }) => !Number.isNaN(Date.parse(timestamp)))).toBe(true);
  });

  it('without a terminal: timed lines and a summary; with --quiet: nothing', async () => {
    const [plain, quiet] = await inTurns([
      () => desk.run(['small', ...stage.source, '-o', 'plain.img', '--size', '1G']),
      () => desk.run(['small', ...stage.source, '-o', 'quiet.img', '--quiet']),
    ]);
    expect(plain?.stderr).toMatch(/^\[ +\d+\.\d\] Decoding$/m);
    expect(plain?.stdout.toString()).toMatch(/Output file: .*plain\.img\n/);
    expect(plain?.stdout.toString()).toMatch(/Free space: 9\d\d MiB of 1006 MiB/);
    expect([quiet?.status, quiet?.stdout.toString(), quiet?.stderr]).toEqual([0, '', '']);
    expect(existsSync(desk.file('quiet.img'))).toBe(true);
  });

  it('a template called like a subcommand is reached by build', async () => {
    const { output } = resultOf(await desk.run(['build', 'info', ...stage.source, '--json'])) as BuildResult;
    expect(output).toBe(desk.file('info.img'));
    const info = resultOf(await desk.run(['info', 'info.img', '--json']));
    expect(info).toMatchObject({ format: 'raw', virtualSize: TEMPLATE_SIZE });
  });
});

/** The largest value of `measure` until `end` is settled. */
async function largestUntil(end: Promise<unknown>, measure: () => number): Promise<number> {
  let largest = 0;
  const timer = setInterval(() => (largest = Math.max(largest, measure())), 5);
  await end.finally(() => clearInterval(timer));
  return largest;
}

describe('the cache', () => {
  it('serves the second build, and builds offline', async () => {
    await using fresh = await newDesk();
    const args = ['small', ...stage.source, '--json', '-o'];
    stage.forget();
    resultOf(await fresh.run([...args, 'first.img']));
    expect(await cachedContent(fresh)).toEqual([stage.template.sha512]);
    expect(stage.downloads().length).toBeGreaterThan(0);
    stage.forget();
    resultOf(await fresh.run([...args, 'second.img']));
    expect(stage.downloads()).toEqual([]);
    stage.forget();
    resultOf(await fresh.run([...args, 'third.img', '--offline']));
    expect(stage.server.requests).toEqual([]);
    expect(examineDisk(fresh.file('third.img')).complaints).toEqual([]);
  });

  it('is left alone with --no-cache', async () => {
    await using fresh = await newDesk();
    resultOf(await fresh.run(['small', ...stage.source, '--no-cache', '--json']));
    expect(await cachedContent(fresh)).toEqual([]);
    expect(await litter(fresh, ['small.img'])).toEqual([]);
  });

  it('a damaged entry is set aside and fetched again', async () => {
    await using fresh = await newDesk();
    const args = ['small', ...stage.source, '--json', '-o'];
    resultOf(await fresh.run([...args, 'first.img']));
    const entry = `${fresh.cache}/sha512/${stage.template.sha512}`;
    run('dd', [
      'if=/dev/urandom',
      `of=${entry}`,
      'bs=1k',
      'seek=700',
      'count=1',
      'conv=notrunc',
      'status=none',
    ]);
    stage.forget();
    const outcome = await fresh.run([...args, 'second.img']);
    resultOf(outcome);
    expect(outcome.stderr).toContain('"type":"warning"');
    expect(stage.downloads().length).toBeGreaterThan(0);
    expect(await litter(fresh, ['first.img', 'second.img'])).toEqual([
      `sha512/${stage.template.sha512}`,
      expect.stringMatching(/^quarantine\//),
    ]);
    expect(examineDisk(fresh.file('second.img')).payloadIntact).toBe(true);
  });

  it('while a slow server sends, the disk is being written, and has no name until the end', async () => {
    await using fresh = await newDesk();
    stage.forget();
    stage.server.fault = ({ path }) => (path.endsWith('small.xz') ? { slowMs: 8 } : undefined);
    const running = fresh.start(['small', ...stage.source, '--json']);
    // Bytes on the disk of the unfinished output while less than half of the template has arrived.
    const early = await largestUntil(running.ended, () => {
      const partial = `${fresh.cache}/partial/${stage.template.sha512}`;
      const arrived = statSync(partial, { throwIfNoEntry: false })?.size ?? Infinity;
      const temp = readdirSync(fresh.work).find((name) => name.startsWith('.small.img.'));
      if (temp === undefined || arrived > stage.template.xz.length / 2) return 0;
      return (statSync(fresh.file(temp), { throwIfNoEntry: false })?.blocks ?? 0) * 512;
    });
    resultOf(await running.ended);
    expect(early).toBeGreaterThan(256 * 1024);
    expect(examineDisk(fresh.file('small.img')).payloadIntact).toBe(true);
  });
});
