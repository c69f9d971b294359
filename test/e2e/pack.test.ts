import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Desk, failureOf, newDesk, resultOf } from '../helpers/e2e.js';
import { noise, sha512 } from '../helpers/e2e-template.js';
import { text } from '../helpers/xz.js';

vi.setConfig({ testTimeout: 180_000 });

const MIB = 1024 * 1024;
const DISK = Buffer.concat([text(3 * MIB), Buffer.alloc(20 * MIB), noise(2 * MIB), Buffer.alloc(7 * MIB)]);

let desk: Desk;
beforeEach(async () => {
  desk = await newDesk();
  writeFileSync(desk.file('disk.img'), DISK);
});
afterEach(() => desk[Symbol.asyncDispose]());

const unpacked = (path: string): Buffer => execFileSync('xz', ['-T2', '-dc', path], { maxBuffer: 2 ** 26 });

describe('tsbuilder pack', () => {
  it('makes a file that xz takes, the same with any number of jobs, with sizes in the headers of its blocks', async () => {
    const options = ['--block-size', '1M', '--preset', '1', '--json'];
    const packed = resultOf(await desk.run(['pack', 'disk.img', 'one.xz', ...options, '--jobs', '1']));
    resultOf(await desk.run(['pack', 'disk.img', 'four.xz', ...options, '--threads', '4']));
    const file = readFileSync(desk.file('one.xz'));
    expect(packed).toMatchObject({
      ...{ size: DISK.length, packedSize: file.length, sha512: sha512(file), zeroBlocks: 27, verified: true },
      warnings: [expect.stringContaining('packed') as string],
    });
    expect(readFileSync(desk.file('four.xz')).equals(file)).toBe(true);
    expect(unpacked(desk.file('one.xz')).equals(DISK)).toBe(true);
    const about = execFileSync('xz', ['--list', '-vv', desk.file('one.xz')], { encoding: 'utf8' });
    expect(about).toMatch(/Sizes in headers: +Yes/);
    expect(about).toMatch(/Blocks: +32\n/);
    expect(readdirSync(desk.work).sort()).toEqual(['disk.img', 'four.xz', 'one.xz']);
  });

  it('tells what it made in one line, and nothing with --quiet', async () => {
    const told = await desk.run(['pack', 'disk.img', 'a.xz', '--preset', '0', '--no-sparsify']);
    expect(told.stdout.toString()).toMatch(/a\.xz: 32\S* ?MiB in \S+ ?MiB\n$/);
    const quiet = await desk.run(['pack', 'disk.img', 'b.xz', '--preset', '0', '--no-sparsify', '--quiet']);
    expect([quiet.status, quiet.stdout.toString(), quiet.stderr]).toEqual([0, '', '']);
  });

  it('refuses what it cannot do, and keeps a file that is there', async () => {
    writeFileSync(desk.file('old.xz'), 'old');
    const fail = async (...args: string[]): Promise<string> =>
      failureOf(await desk.run(['pack', ...args, '--json'])).summary;
    expect(await fail('disk.img', 'old.xz')).toMatch(/ TSB_OUTPUT_EXISTS$/);
    expect(await fail('disk.img', 'new.xz', '--preset', '10')).toMatch(/ TSB_USAGE$/);
    expect(await fail('disk.img', 'new.xz', '--block-size', '1K')).toMatch(/ TSB_USAGE$/);
    expect(await fail('none.img', 'new.xz')).toMatch(/ TSB_NOT_FOUND$/);
    expect(readFileSync(desk.file('old.xz'), 'utf8')).toBe('old');
    expect(readdirSync(desk.work).sort()).toEqual(['disk.img', 'old.xz']);
  });

  it('ends with one error on a full disk, and leaves nothing', async () => {
    const folder = join(desk.path, 'tmp');
    const script = `mount -t tmpfs -o size=1m none ${folder} && "$@"; status=$?; ls -A ${folder} >&2; exit $status`;
    const outcome = await desk.run(
      ['pack', 'disk.img', join(folder, 'out.xz'), '--preset', '0', '--no-sparsify', '--json'],
      { wrapper: ['unshare', '-Urm', 'sh', '-c', script, 'sh'] },
    );
    expect(failureOf(outcome).summary).toBe('7 TSB_NO_SPACE');
    expect(outcome.stderr).not.toContain('tsb\n');
  });

  it('stops at Ctrl-C and leaves nothing', async () => {
    writeFileSync(desk.file('long.img'), text(48 * MIB));
    const running = desk.start(['pack', 'long.img', 'out.xz', '--preset', '9e', '--json']);
    while (!readdirSync(desk.work).some((name) => name.endsWith('.tsb'))) await sleep(20);
    await sleep(500);
    running.child.kill('SIGINT');
    expect(failureOf(await running.ended).summary).toBe('130 TSB_INTERRUPTED');
    expect(readdirSync(desk.work).sort()).toEqual(['disk.img', 'long.img']);
  });
});

it('tsbuilder repack cuts a file of one block into small ones', async () => {
  execFileSync('xz', ['-0', '-T1', '-k', desk.file('disk.img')]);
  resultOf(
    await desk.run(['repack', 'disk.img.xz', 'out.xz', '--block-size', '4M', '--preset', '0', '--json']),
  );
  expect(unpacked(desk.file('out.xz')).equals(DISK)).toBe(true);
  expect(execFileSync('xz', ['--list', '-vv', desk.file('out.xz')], { encoding: 'utf8' })).toMatch(
    /Blocks: +8\n/,
  );
});
