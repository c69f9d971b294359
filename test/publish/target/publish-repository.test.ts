import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { bytesSource } from '../../../src/io/byte-source.js';
import { opaqueDisk } from '../../../src/io/disk-source.js';
import { silentProgress } from '../../../src/progress.js';
import { addDisk } from '../../../src/publish/repo/add-template.js';
import { initRepository } from '../../../src/publish/repo/init-repository.js';
import { repositorySigners } from '../../../src/publish/repo/open-signers.js';
import { openTarget } from '../../../src/publish/target/open-target.js';
import { type PublishSummary, publishRepository } from '../../../src/publish/target/publish-repository.js';
import { scratchFolder } from '../../helpers/scratch-folder.js';

const MIB = 1024 ** 2;
const keys = { keys: [], gpgKeys: [], passphrase: () => Promise.reject(new Error('not asked for')) };

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let dir: string;
let out: string;
beforeEach(async () => {
  folder = await scratchFolder();
  dir = join(folder.path, 'repo');
  out = join(folder.path, 'out');
  vi.stubEnv('TSBUILDER_DATA_DIR', join(folder.path, 'data'));
  await initRepository({ ...keys, dir });
  await add('x');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await folder[Symbol.asyncDispose]();
});

/** Publishes another content of the template `tiny` in the repository. */
async function add(content: string, keep = 0): Promise<void> {
  const disk = join(folder.path, 'disk');
  writeFileSync(disk, Buffer.alloc(MIB, content));
  await addDisk({
    publisher: { dir, signers: await repositorySigners(dir, keys), keep },
    ...{ disk, fields: { name: 'tiny', arch: 'x86_64' } },
    ...{ blockSize: MIB, preset: '0', check: 'crc64', jobs: 1, sparsify: false, dryRun: false },
    ...{ progress: silentProgress, signal: new AbortController().signal },
  });
}

async function publish(
  to: string,
  more: { remove?: boolean; dryRun?: boolean; signal?: AbortSignal } = {},
): Promise<PublishSummary> {
  return publishRepository({
    ...{ dir, page: true, remove: false, dryRun: false, progress: silentProgress },
    target: await openTarget(dir, to),
    openDisk: () =>
      Promise.resolve({ ...withDispose(), disk: opaqueDisk(bytesSource('disk', Buffer.alloc(MIB))) }),
    signal: new AbortController().signal,
    ...more,
  });
}

function withDispose(): AsyncDisposable {
  return { [Symbol.asyncDispose]: () => Promise.resolve() };
}

const first = ['tiny-x86_64.r1.xz', 'tiny-x86_64.r1.xz.blocks'];
const second = ['tiny-x86_64.r2.xz', 'tiny-x86_64.r2.xz.blocks'];
const rest = ['index.html', 'key.asc', 'index.asc'];

/** What is true of every target. */
async function publishesStepByStep(to: string, served: string): Promise<void> {
  const names = (): string[] =>
    readdirSync(served)
      .filter((name) => !name.startsWith('.'))
      .sort();
  expect(await publish(to, { dryRun: true })).toMatchObject({ sent: [...first, 'key.asc', 'index.asc'] });
  expect((await publish(to)).sent).toEqual([...first, ...rest]);
  for (const name of [...first, ...rest])
    expect(readFileSync(join(served, name)).equals(readFileSync(join(dir, name)))).toBe(true);
  expect(await publish(to)).toMatchObject({ sent: [], sentBytes: 0, unchanged: 5 });
  await add('y');
  await add('y');
  writeFileSync(join(served, 'other.txt'), 'somebody else');
  const changed = await publish(to, { remove: true });
  expect(changed).toMatchObject({ sent: [...second, 'index.html', 'index.asc'], removed: [] });
  expect(names()).toEqual([...first, ...second, ...rest, 'other.txt'].sort());
  expect((await publish(to, { remove: true })).removed).toEqual(first);
  expect(names()).toEqual([...second, ...rest, 'other.txt'].sort());
}

describe('publishRepository', () => {
  it('puts content into a folder, then the index, and keeps what the index before names', async () => {
    await publishesStepByStep(out, out);
    expect(readFileSync(join(out, 'index.html'), 'utf8')).toContain('<svg');
    expect(readdirSync(out).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('does the same by an rsync daemon', async () => {
    mkdirSync(out);
    const port = await freePort();
    const conf = join(folder.path, 'rsyncd.conf');
    const who = `uid = ${process.getuid?.() ?? 0}\ngid = ${process.getgid?.() ?? 0}\n`;
    writeFileSync(conf, `use chroot = no\n${who}[repo]\npath = ${out}\nread only = no\n`);
    const words = ['--daemon', '--no-detach', '--address=127.0.0.1', `--port=${port}`, `--config=${conf}`];
    const daemon = spawn('rsync', words, { stdio: 'ignore' });
    try {
      await untilListening(port);
      await publishesStepByStep(`rsync://127.0.0.1:${port}/repo`, out);
    } finally {
      daemon.kill();
    }
  });

  it('mends a file of the target that is damaged', async () => {
    await publish(out);
    const path = join(out, 'tiny-x86_64.r1.xz');
    const data = readFileSync(path);
    writeFileSync(path, Buffer.alloc(data.length));
    expect((await publish(out)).sent).toEqual(['tiny-x86_64.r1.xz']);
    expect(readFileSync(path).equals(data)).toBe(true);
  });

  it.each([
    ['a damaged template', 'tiny-x86_64.r1.xz', 'TSB_SIZE_MISMATCH'],
    ['a damaged block map', 'tiny-x86_64.r1.xz.blocks', 'TSB_CHECKSUM_MISMATCH'],
    ['an index that was changed', 'index.asc', 'TSB_INDEX_UNSIGNED'],
  ])('sends nothing of a repository with %s', async (_, name, code) => {
    writeFileSync(join(dir, name), 'damaged');
    await expect(publish(out)).rejects.toMatchObject({ code });
    expect(readdirSync(folder.path)).not.toContain('out');
  });

  it('sends nothing where a file is missing', async () => {
    rmSync(join(dir, 'tiny-x86_64.r1.xz'));
    await expect(publish(out)).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
  });

  it('leaves the index that is there when it is interrupted, and nothing half done', async () => {
    await publish(out);
    const before = readFileSync(join(out, 'index.asc'));
    await add('z');
    const controller = new AbortController();
    const step = (label: string) => ({
      advance: () => label.startsWith('Sending') && controller.abort(),
      [Symbol.dispose]: () => undefined,
    });
    const request = {
      ...{ dir, page: true, remove: false, dryRun: false, target: await openTarget(dir, out) },
      openDisk: () => Promise.reject(new Error('no picture')),
      progress: { ...silentProgress, step },
      signal: controller.signal,
    };
    await expect(publishRepository(request)).rejects.toMatchObject({ name: 'AbortError' });
    expect(readFileSync(join(out, 'index.asc')).equals(before)).toBe(true);
    expect(readdirSync(out).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it.each(['s3://bucket/prefix', 'https://example.com/', '-e evil', ''])('refuses %j', async (target) => {
    await expect(publish(target)).rejects.toMatchObject({ code: 'TSB_USAGE' });
  });

  it('refuses a folder in the repository', async () => {
    await expect(publish(join(dir, 'public'))).rejects.toMatchObject({ code: 'TSB_USAGE' });
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function untilListening(port: number): Promise<void> {
  await vi.waitFor(
    () =>
      new Promise<void>((resolve, reject) => {
        const socket = connect(port, '127.0.0.1', () => resolve(void socket.destroy()));
        socket.once('error', reject);
      }),
    { timeout: 10_000 },
  );
}
