import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { run } from '../helpers/disk.js';
import { type Desk, type Outcome, failureOf, newDesk, resultOf } from '../helpers/e2e.js';
import { type Stage, openStage } from '../helpers/e2e-stage.js';
import { ROOT, TEMPLATE_SIZE, sha512 } from '../helpers/e2e-template.js';
import type { Mounted } from '../../src/serve/run-mount.js';

vi.setConfig({ testTimeout: 20_000 });

let stage: Stage;
let desk: Desk;
let packed: string;
let env: Record<string, string>;
beforeAll(async () => {
  stage = await openStage();
  packed = `${stage.folder}/template.img.xz`;
});
afterAll(() => stage[Symbol.asyncDispose]());

beforeEach(async () => {
  desk = await newDesk();
  env = { XDG_RUNTIME_DIR: `${desk.path}/run` };
});
afterEach(async () => {
  for (const point of mountPoints()) spawnSync('fusermount3', ['-u', '-z', point]);
  await desk[Symbol.asyncDispose]();
});

/** What is mounted below the desk. */
const mountPoints = (): string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point.startsWith(desk.path));

/** Processes that have the desk's path in their command line or working folder: servers, guards, nbdfuse. */
const processes = (): string[] =>
  readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(desk.path);
    } catch {
      return false;
    }
  });

async function eventually(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !condition(); tries += 1) await sleep(20);
  expect(condition()).toBe(true);
}

/** Nothing is left of any mount. */
async function expectGone(): Promise<void> {
  await eventually(() => mountPoints().length === 0 && processes().length === 0);
  expect(readdirSync(desk.work)).toEqual([]);
  const state = `${desk.path}/run/tsbuilder/mounts`;
  expect(existsSync(state) ? readdirSync(state) : []).toEqual([]);
}

const mount = async (...args: string[]): Promise<Mounted> =>
  resultOf(await desk.run(['mount', ...args, '--json'], { env })) as Mounted;
const umount = (...args: string[]): Promise<Outcome> => desk.run(['umount', ...args, '--json'], { env });

/** Mounts in `m`, and kills the server and its guard: the file stays, and gives nothing but errors. */
async function leaveRemains(): Promise<void> {
  const { pid } = await mount(packed, 'm');
  const guard = processes().find((each) =>
    readFileSync(`/proc/${each}/cmdline`, 'utf8').includes('mount-guard'),
  );
  process.kill(Number(guard), 'SIGKILL');
  process.kill(pid, 'SIGKILL');
  await eventually(() => !processes().includes(String(pid)));
  expect(mountPoints()).toEqual([desk.file('m/disk.img')]);
}

const hash = (path: string): string => sha512(readFileSync(path));

describe('mount', () => {
  it('shows the disk and its partitions, and umount takes all away', async () => {
    const mounted = await mount(packed, 'm', '--partitions');
    expect(mounted).toMatchObject({ dir: desk.file('m'), format: 'xz', writable: false });
    expect(mounted.files).toEqual([
      { path: desk.file('m/disk.img'), size: TEMPLATE_SIZE },
      { path: desk.file('m/p1'), size: 16 * 1024 * 1024, partition: 1 },
      { path: desk.file('m/p2'), size: ROOT.length, partition: 2 },
    ]);
    run('cmp', [desk.file('m/disk.img'), stage.template.raw]);
    run('e2fsck', ['-fn', desk.file('m/p2')]);
    await expect(open(desk.file('m/disk.img'), 'r+')).rejects.toThrow(/EROFS|EACCES|EPERM/);
    expect(resultOf(await umount('m'))).toEqual({
      dir: desk.file('m'),
      files: mounted.files.map(({ path }) => path),
    });
    await expectGone();
  });

  it('gives files that the kernel can mount', async () => {
    await mount(packed, 'm', '--partitions');
    const folder = desk.file('root');
    mkdirSync(folder);
    run('mount', ['-o', 'loop,ro,noload', desk.file('m/p2'), folder]);
    try {
      expect(readFileSync(`${folder}/etc/os-release`, 'utf8')).toContain('bookworm');
    } finally {
      run('umount', [folder]);
    }
    run('rmdir', [folder]);
    resultOf(await umount('m'));
    await expectGone();
  });

  it('takes writes with --cow, in every file that shows them, and throws them away', async () => {
    const before = hash(packed);
    await mount(packed, 'm', '--partitions', '--cow');
    execFileSync('debugfs', ['-w', '-R', 'mkdir /made', desk.file('m/p2')], { stdio: 'ignore' });
    run('e2fsck', ['-fn', desk.file('m/p2')]);
    const whole = `${desk.file('m/disk.img')}?offset=${ROOT.offset}`;
    expect(run('debugfs', ['-R', 'stat /made', whole])).toContain('Type: directory');
    resultOf(await umount('m'));
    await expectGone();
    expect(hash(packed)).toBe(before);
    await mount(packed, 'm');
    expect(run('debugfs', ['-R', 'ls /', whole])).not.toContain('made');
    resultOf(await umount('m'));
  });

  it('shows qcow2 images, one partition, and images on servers', async () => {
    run('qemu-img', ['convert', '-O', 'qcow2', '-c', stage.template.raw, `${desk.path}/disk.qcow2`]);
    await mount(`${desk.path}/disk.qcow2`, 'm');
    run('cmp', [desk.file('m/disk.img'), stage.template.raw]);
    resultOf(await umount('m'));
    const { files } = await mount(`${stage.server.url}/repo/small.xz`, 'm', '--partition', '2');
    expect(files).toEqual([{ path: desk.file('m/disk.img'), size: ROOT.length }]);
    // The server is in this process, which must not sleep meanwhile.
    await promisify(execFile)('e2fsck', ['-fn', desk.file('m/disk.img')]);
    resultOf(await umount('m'));
    await expectGone();
  });

  it('shows a raw disk as it is that looks like qcow2, when it is told so', async () => {
    const decoy = Buffer.alloc(1024 * 1024, 'disk');
    run('qemu-img', ['create', '-q', '-f', 'qcow2', desk.file('head.qcow2'), '64M']);
    readFileSync(desk.file('head.qcow2')).subarray(0, 512).copy(decoy);
    rmSync(desk.file('head.qcow2'));
    const image = `${desk.path}/decoy.img`;
    writeFileSync(image, decoy);
    for (const flag of ['--format', '--input-format']) {
      const mounted = await mount(image, 'm', flag, 'raw');
      expect(mounted).toMatchObject({ format: 'raw', files: [{ size: decoy.length }] });
      expect(readFileSync(desk.file('m/disk.img')).equals(decoy)).toBe(true);
      resultOf(await umount('m'));
    }
    // What somebody who can write to the disk has made of it otherwise.
    expect(await mount(image, 'm')).toMatchObject({ format: 'qcow2', files: [{ size: 64 * 1024 * 1024 }] });
    resultOf(await umount('m'));
    await expectGone();
  });

  it('keeps a folder that was there before, and does not hide what is in it', async () => {
    mkdirSync(desk.file('m'));
    writeFileSync(desk.file('m/p1'), 'precious');
    const taken = await desk.run(['mount', packed, 'm', '--partitions', '--json'], { env });
    expect(failureOf(taken).summary).toBe('7 TSB_OUTPUT_EXISTS');
    await mount(packed, 'm');
    expect(readdirSync(desk.file('m')).sort()).toEqual(['disk.img', 'p1']);
    resultOf(await umount('m'));
    expect(readdirSync(desk.file('m'))).toEqual(['p1']);
    expect(readFileSync(desk.file('m/p1'), 'utf8')).toBe('precious');
  });

  it('says what stands in its way, and leaves nothing', async () => {
    await mount(packed, 'm');
    const again = failureOf(await desk.run(['mount', packed, 'm', '--json'], { env }));
    expect(again).toMatchObject({
      summary: '7 TSB_LOCKED',
      hint: expect.stringContaining('tsbuilder umount') as string,
    });
    resultOf(await umount('m'));
    expect(failureOf(await umount('m')).summary).toBe('3 TSB_NOT_FOUND');
    const missing = await desk.run(['mount', './none.xz', 'n', '--json'], { env });
    expect(failureOf(missing).summary).toBe('3 TSB_NOT_FOUND');
    const option = await desk.run(['mount', packed, 'n', '-o', 'no_such_option', '--json'], { env });
    expect(failureOf(option)).toMatchObject({
      summary: '8 TSB_TOOL_FAILED',
      message: expect.stringContaining('no_such_option') as string,
    });
    const tools = { ...env, PATH: `${desk.path}/bin` };
    mkdirSync(`${desk.path}/bin`);
    expect(failureOf(await desk.run(['mount', packed, 'n', '--json'], { env: tools }))).toMatchObject({
      summary: '9 TSB_TOOL_MISSING',
      hint: expect.stringContaining('libnbd-bin') as string,
    });
    await expectGone();
  });
});

describe('a mount that is in use', () => {
  it('stays, unless umount is forced', async () => {
    await mount(packed, 'm');
    const file = await open(desk.file('m/disk.img'), 'r');
    try {
      expect(failureOf(await umount('m')).summary).toBe('7 TSB_LOCKED');
      expect((await file.read(Buffer.alloc(512), 0, 512, 0)).bytesRead).toBe(512);
      resultOf(await umount('m', '--force'));
    } finally {
      await file.close().catch(() => undefined);
    }
    await expectGone();
  });
});

describe('the server of a mount', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('unmounts on %s in the foreground', async (name) => {
    const { child, ended } = desk.start(['mount', packed, 'm', '--partitions', '--foreground'], { env });
    await eventually(() => mountPoints().length === 3);
    await eventually(() => readFileSync(desk.file('m/disk.img')).length === TEMPLATE_SIZE);
    child.kill(name);
    expect((await ended).status).toBe(0);
    await expectGone();
  });

  it('ends when its files are unmounted by other means', async () => {
    const { ended } = desk.start(['mount', packed, 'm', '--foreground'], { env });
    await eventually(() => mountPoints().length === 1);
    run('fusermount3', ['-u', desk.file('m/disk.img')]);
    expect((await ended).status).toBe(0);
    await expectGone();
  });

  it('can be killed: nothing hangs, and nothing is left', async () => {
    const { pid } = await mount(packed, 'm', '--partitions');
    const file = await open(desk.file('m/disk.img'), 'r');
    process.kill(pid, 'SIGKILL');
    await eventually(() => mountPoints().length === 0);
    await expect(file.read(Buffer.alloc(4096), 0, 4096, 100 * 1024 * 1024)).rejects.toThrow(/EIO|ENOTCONN/);
    // Closing a file tells its filesystem, which is no more.
    await file.close().catch(() => undefined);
    await expectGone();
  });

  it('leaves what umount, or the next mount, can remove when its guard is killed with it', async () => {
    for (const next of ['umount', 'mount']) {
      await leaveRemains();
      if (next === 'mount') await mount(packed, 'm');
      resultOf(await umount('m'));
      await expectGone();
    }
  });

  it('is made by one of those who find such remains at once, and not taken down by the others', async () => {
    await leaveRemains();
    const outcomes = await Promise.all(
      Array.from({ length: 4 }, () => desk.run(['mount', packed, 'm', '--json'], { env })),
    );
    expect(outcomes.filter(({ status }) => status === 0)).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status !== 0) expect(failureOf(outcome).summary).toBe('7 TSB_LOCKED');
    }
    expect(hash(desk.file('m/disk.img'))).toBe(hash(stage.template.raw));
    resultOf(await umount('m'));
    await expectGone();
  });

  it('survives the loss of one file', async () => {
    await mount(packed, 'm', '--partitions');
    const fuse = processes().filter((each) =>
      readFileSync(`/proc/${each}/cmdline`, 'utf8').startsWith('nbdfuse'),
    );
    const first = fuse.find((each) => readFileSync(`/proc/${each}/cmdline`, 'utf8').includes('p1.pid'));
    process.kill(Number(first), 'SIGKILL');
    await eventually(() => mountPoints().length === 2);
    run('e2fsck', ['-fn', desk.file('m/p2')]);
    const outcome = await umount('m');
    resultOf(outcome);
    expect(outcome.stderr).toContain('was killed by SIGKILL');
    await expectGone();
  });

  it('goes when the command that starts it is interrupted', async () => {
    stage.server.fault = () => ({ hangAfter: -1 });
    const { child, ended } = desk.start(['mount', `${stage.server.url}/repo/small.xz`, 'm'], { env });
    await eventually(() => existsSync(desk.file('m')));
    child.kill('SIGINT');
    expect((await ended).status).toBe(130);
    stage.forget();
    await expectGone();
  });
});
