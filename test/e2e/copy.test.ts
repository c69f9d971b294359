import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { MIB, peek, run } from '../helpers/disk.js';
import { type Desk, failureOf, litter, newDesk, resultOf } from '../helpers/e2e.js';
import { type Stage, openStage } from '../helpers/e2e-stage.js';
import { ROOT, TEMPLATE_SIZE, flipBit, sha512 } from '../helpers/e2e-template.js';

vi.setConfig({ testTimeout: 60_000 });

let stage: Stage;
let desk: Desk;
let packed: string;
beforeAll(async () => {
  stage = await openStage();
  desk = await newDesk();
  packed = `${stage.folder}/template.img.xz`;
  const raw = stage.template.raw;
  run('sh', ['-c', 'gzip -1 -c "$0" > "$1"', raw, `${stage.folder}/disk.gz`]);
  run('zstd', ['-q', '-f', raw, '-o', `${stage.folder}/disk.zst`]);
  run('qemu-img', ['convert', '-O', 'qcow2', '-c', raw, `${stage.folder}/disk.qcow2`]);
  run('xz', ['-k', '-1', '--block-size=1MiB', `${stage.folder}/disk.qcow2`]);
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  await desk[Symbol.asyncDispose]();
});

const hash = (path: string): string => sha512(readFileSync(path));

describe('cp', () => {
  it.each(['template.img', 'template.img.xz', 'disk.gz', 'disk.zst', 'disk.qcow2', 'disk.qcow2.xz'])(
    'copies %s',
    async (name) => {
      const source = `${stage.folder}/${name}`;
      const raw = resultOf(await desk.run(['cp', source, `${name}.raw`, '--json']));
      expect(raw).toMatchObject({ output: desk.file(`${name}.raw`), size: TEMPLATE_SIZE });
      expect(hash(desk.file(`${name}.raw`))).toBe(hash(stage.template.raw));
      expect(statSync(desk.file(`${name}.raw`)).blocks * 512).toBeLessThan(16 * MIB);
      resultOf(
        await desk.run([
          'cp',
          source,
          'out.qcow2',
          '-f',
          '--format',
          'qcow2',
          '--compress',
          'zlib',
          '--json',
        ]),
      );
      run('qemu-img', ['check', desk.file('out.qcow2')]);
      expect(run('qemu-img', ['compare', desk.file('out.qcow2'), stage.template.raw])).toContain('identical');
    },
  );

  it('takes no compressed file that it cannot read for a disk, unless told to', async () => {
    run('sh', ['-c', 'bzip2 -c "$0" > "$1"', import.meta.filename, desk.file('disk.bz2')]);
    const refused = failureOf(await desk.run(['cp', 'disk.bz2', 'bz2.img', '--json']));
    expect(refused).toMatchObject({
      summary: '2 TSB_USAGE',
      message: expect.stringContaining('bzip2') as string,
    });
    resultOf(await desk.run(['cp', 'disk.bz2', 'bz2.img', '--input-format', 'raw', '--json']));
    expect(hash(desk.file('bz2.img'))).toBe(hash(desk.file('disk.bz2')));
  });

  it('copies a partition, and to standard output', async () => {
    const expected = sha512(peek(stage.template.raw, ROOT.offset, ROOT.length));
    for (const source of [packed, `${stage.folder}/disk.gz`]) {
      resultOf(await desk.run(['cp', source, 'root.img', '-f', '-p', '2', '--json']));
      expect(hash(desk.file('root.img'))).toBe(expected);
    }
    const piped = await desk.run(['cp', `${stage.folder}/disk.qcow2`, '-']);
    expect(piped.status, piped.stderr).toBe(0);
    expect(sha512(piped.stdout)).toBe(hash(stage.template.raw));
  });

  it('copies from servers, and templates by name', async () => {
    stage.server.files['/disk.zst'] = { data: readFileSync(`${stage.folder}/disk.zst`) };
    stage.server.files['/whole.xz'] = { data: stage.template.xz, ranges: false };
    for (const source of [
      `${stage.server.url}/repo/small.xz`,
      `${stage.server.url}/disk.zst`,
      `${stage.server.url}/whole.xz`,
    ]) {
      resultOf(await desk.run(['cp', source, 'remote.img', '-f', '--json']));
      expect(hash(desk.file('remote.img'))).toBe(hash(stage.template.raw));
    }
    const downloads = stage.server.requests.filter(
      ({ path, headers }) => path === '/whole.xz' && !headers.range,
    );
    expect(downloads.length).toBeLessThanOrEqual(1);
    const named = resultOf(await desk.run(['cp', 'small', 'named.img', '--json', ...stage.source]));
    expect(named).toMatchObject({ sourceFormat: 'xz', size: TEMPLATE_SIZE });
    expect(hash(desk.file('named.img'))).toBe(hash(stage.template.raw));
  });

  it('says nothing of the many reads of a raw disk that are under way', async () => {
    const data = randomBytes(40 * MIB);
    stage.server.files['/noise.img'] = { data };
    const { status, stderr, stdout } = await desk.run([
      'cp',
      `${stage.server.url}/noise.img`,
      '-',
      '-q',
      '--jobs',
      '2',
    ]);
    expect([status, stderr]).toEqual([0, '']);
    expect(sha512(stdout)).toBe(sha512(data));
  });

  it.each(['raw', 'qcow2', '-'])('reads gzip and one-frame zstd once, to %s', async (to) => {
    run('sh', ['-c', 'zstd -q -f -c < "$0" > "$1"', stage.template.raw, `${stage.folder}/unsized.zst`]);
    const out = to === '-' ? ['-'] : [`once.${to}`, '-f', '--format', to];
    for (const name of ['disk.gz', 'disk.zst', 'unsized.zst']) {
      const data = readFileSync(`${stage.folder}/${name}`);
      stage.server.files[`/${name}`] = { data };
      stage.forget();
      const copied = await desk.run(['cp', `${stage.server.url}/${name}`, ...out]);
      expect(copied.status, copied.stderr).toBe(0);
      const requested = stage.server.requests.reduce((sum, { headers }) => {
        const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
        return sum + Number(last) - Number(first) + 1;
      }, 0);
      // All of it, and once more the beginning, to see what is in it.
      expect(requested).toBeGreaterThanOrEqual(data.length);
      expect(requested).toBeLessThan(data.length + 300_000);
      expect(stage.server.requests.length).toBeLessThan(data.length / (4 * MIB) + 6);
      if (to === 'qcow2') run('qemu-img', ['check', desk.file('once.qcow2')]);
      if (to === '-') expect(sha512(copied.stdout)).toBe(hash(stage.template.raw));
      else
        expect(run('qemu-img', ['compare', desk.file(`once.${to}`), stage.template.raw])).toContain(
          'identical',
        );
    }
  });

  it('takes a disk that begins like another format for raw, when told so', async () => {
    const header = readFileSync(`${stage.folder}/disk.qcow2`);
    writeFileSync(desk.file('guest.img'), header);
    writeFileSync(desk.file('guest.img.gz'), gzipSync(header));
    run('xz', ['-k', '-0', desk.file('guest.img')]);
    const cp = async (...args: string[]): Promise<unknown> =>
      resultOf(await desk.run(['cp', ...args, 'same.img', '-f', '--json']));
    expect(await cp('guest.img')).toMatchObject({ sourceFormat: 'qcow2', size: TEMPLATE_SIZE });
    for (const [name, format] of [
      ['guest.img', 'raw'],
      ['guest.img.gz', 'gzip'],
      ['guest.img.xz', 'xz'],
    ] as const) {
      const copied = await cp(name, '--input-format', format);
      expect(copied).toMatchObject({ sourceFormat: format, size: header.length });
      expect(readFileSync(desk.file('same.img')).equals(header)).toBe(true);
    }
    const wrong = await desk.run(['cp', 'guest.img', 'x', '--input-format', 'xz', '--json']);
    expect(failureOf(wrong).summary).toMatch(/^5 TSB_XZ_/);
    const template = await desk.run(['cp', 'small', 'x', '--input-format', 'raw', '--json', ...stage.source]);
    expect(failureOf(template).summary).toBe('2 TSB_USAGE');
    for (const name of ['guest.img', 'guest.img.gz', 'guest.img.xz', 'same.img']) rmSync(desk.file(name));
  });

  it('leaves nothing when it fails', async () => {
    await using other = await newDesk();
    const failed = async (...args: string[]): Promise<string> =>
      failureOf(await other.run(['cp', ...args, '--json'])).summary;
    writeFileSync(other.file('bad.xz'), flipBit(stage.template.xz, Math.floor(stage.template.xz.length / 2)));
    const gz = readFileSync(`${stage.folder}/disk.gz`);
    writeFileSync(other.file('bad.gz'), flipBit(gz, Math.floor(gz.length / 2)));
    writeFileSync(other.file('taken'), 'x');
    expect(await failed('bad.xz', 'out')).toMatch(/^5 TSB_XZ_CORRUPT/);
    expect(await failed('bad.gz', 'out')).toMatch(/^5 /);
    expect(await failed('./none', 'out')).toBe('3 TSB_NOT_FOUND');
    expect(await failed(packed, 'taken')).toBe('7 TSB_OUTPUT_EXISTS');
    expect(await failed('bad.xz', 'bad.xz', '-f')).toBe('2 TSB_USAGE');
    expect(await failed(packed, 'out', '-p', '9')).toBe('8 TSB_PARTITION_NOT_FOUND');
    expect(await failed(packed, '-')).toBe('2 TSB_USAGE');
    expect(await failed(packed, 'out', '--require-verified')).toMatch(/TSB_NOT_VERIFIED$/);
    expect(await litter(other, ['bad.gz', 'bad.xz', 'taken'])).toEqual([]);
  });
});
