import { spawn } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentProgress } from '../../../src/progress.js';
import { listRepository, signAgain } from '../../../src/publish/repo/change-repository.js';
import { type KeyChange, changedSigners } from '../../../src/publish/repo/rotate-keys.js';
import { openTarget } from '../../../src/publish/target/open-target.js';
import type { PublishRequest, PublishSummary } from '../../../src/publish/target/publish-repository.js';
import { freePort, untilListening } from '../../helpers/free-port.js';
import {
  type TinyRepository,
  publishesStepByStep,
  servedFolder,
  tinyRepository,
} from '../../helpers/publish-target.js';
import { startSshServer } from '../../helpers/ssh-server.js';

const unasked = { keys: [], gpgKeys: [], passphrase: () => Promise.reject(new Error('not asked for')) };

let repository: TinyRepository;
let dir: string;
let out: string;
beforeEach(async () => {
  repository = await tinyRepository();
  ({ dir } = repository);
  out = join(repository.path, 'out');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await repository[Symbol.asyncDispose]();
});

const publish = async (to: string, more: Partial<PublishRequest> = {}): Promise<PublishSummary> =>
  repository.publish(await openTarget(dir, to), more);

describe('publishRepository', () => {
  it('puts content into a folder, then the index, and keeps what the index before names', async () => {
    await publishesStepByStep(repository, await openTarget(dir, out), servedFolder(out));
    expect(readFileSync(join(out, 'index.html'), 'utf8')).toContain('<svg');
    expect(readdirSync(out).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('does the same by an rsync daemon', async () => {
    mkdirSync(out);
    const port = await freePort();
    const conf = join(repository.path, 'rsyncd.conf');
    const who = `uid = ${process.getuid?.() ?? 0}\ngid = ${process.getgid?.() ?? 0}\n`;
    writeFileSync(conf, `use chroot = no\n${who}[repo]\npath = ${out}\nread only = no\n`);
    const words = ['--daemon', '--no-detach', '--address=127.0.0.1', `--port=${port}`, `--config=${conf}`];
    const daemon = spawn('rsync', words, { stdio: 'ignore' });
    try {
      await untilListening(port);
      const target = await openTarget(dir, `rsync://127.0.0.1:${port}/repo`);
      await publishesStepByStep(repository, target, servedFolder(out));
    } finally {
      daemon.kill();
    }
  });

  it('does the same by rsync through ssh, and not to a host that is not known', async () => {
    await using server = await startSshServer();
    const to = `${server.login}:${out}`;
    vi.stubEnv('RSYNC_RSH', server.strangersCommand);
    await expect(publish(to)).rejects.toMatchObject({
      code: 'TSB_TOOL_FAILED',
      message: expect.stringContaining('Host key verification failed') as unknown,
      hint: expect.stringContaining('compare the key of the host') as unknown,
    });
    vi.stubEnv('RSYNC_RSH', server.command);
    await publishesStepByStep(repository, await openTarget(dir, to), servedFolder(out));
  });

  it('says that rsync is missing on the other side', async () => {
    const shell = join(repository.path, 'shell');
    // What a shell there answers, and ssh ends with.
    writeFileSync(shell, '#!/bin/sh\necho "bash: line 1: rsync: command not found" >&2\nexit 127\n', {
      mode: 0o755,
    });
    vi.stubEnv('RSYNC_RSH', shell);
    await expect(publish('host:/srv')).rejects.toMatchObject({
      code: 'TSB_TOOL_FAILED',
      hint: expect.stringContaining('Install rsync on the other side') as unknown,
    });
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
    expect(readdirSync(repository.path)).not.toContain('out');
  });

  it('sends nothing where a file is missing', async () => {
    rmSync(join(dir, 'tiny-x86_64.r1.xz'));
    await expect(publish(out)).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
  });

  it('leaves the index that is there when it is interrupted, and nothing half done', async () => {
    await publish(out);
    const before = readFileSync(join(out, 'index.asc'));
    await repository.add('z');
    const controller = new AbortController();
    const step = (label: string) => ({
      advance: () => label.startsWith('Sending') && controller.abort(),
      [Symbol.dispose]: () => undefined,
    });
    const stopped = publish(out, { progress: { ...silentProgress, step }, signal: controller.signal });
    await expect(stopped).rejects.toMatchObject({ name: 'AbortError' });
    expect(readFileSync(join(out, 'index.asc')).equals(before)).toBe(true);
    expect(readdirSync(out).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it.each(['s3://a', 's3://key:secret@bucket', 's3://bucket/../x', 'https://example.com/', '-e evil', ''])(
    'refuses %j',
    async (target) => {
      await expect(publish(target)).rejects.toMatchObject({ code: 'TSB_USAGE' });
    },
  );

  it('refuses a folder in the repository', async () => {
    const link = join(repository.path, 'link');
    symlinkSync(dir, link);
    for (const to of [dir, join(dir, 'public'), join(link, 'a/b')])
      await expect(publish(to)).rejects.toMatchObject({ code: 'TSB_USAGE' });
  });
});

describe('a target that has an index', () => {
  const indexIn = (folder: string): string => readFileSync(join(folder, 'index.asc'), 'utf8');

  it('of another repository is left alone without force', async () => {
    await using other = await tinyRepository();
    await other.publish(await openTarget(other.dir, out));
    const before = indexIn(out);
    for (const dryRun of [true, false])
      await expect(publish(out, { dryRun })).rejects.toMatchObject({
        code: 'TSB_OUTPUT_EXISTS',
        message: expect.stringContaining(`no key of ${dir} has signed`) as unknown,
      });
    expect(indexIn(out)).toBe(before);
    await publish(out, { force: true });
    expect(indexIn(out)).toBe(indexIn(dir));
  });

  it.each(['damaged', ''])('that is none, %j, is left alone without force', async (text) => {
    mkdirSync(out);
    writeFileSync(join(out, 'index.asc'), text);
    await expect(publish(out)).rejects.toMatchObject({ code: 'TSB_OUTPUT_EXISTS' });
    expect(readdirSync(out)).toEqual(['index.asc']);
  });

  it('is not replaced by an older one, nor loses a template to other content of that name, without force', async () => {
    const copy = join(repository.path, 'copy');
    cpSync(dir, copy, { recursive: true });
    await untilNextSecond();
    await repository.add('y');
    await publish(out);
    const index = indexIn(out);
    const template = readFileSync(join(out, 'tiny-x86_64.r2.xz'));

    rmSync(dir, { recursive: true });
    renameSync(copy, dir);
    await expect(publish(out)).rejects.toMatchObject({ code: 'TSB_SIGNATURE_ROLLBACK' });
    await untilNextSecond();
    await repository.add('z');
    await expect(publish(out)).rejects.toMatchObject({
      code: 'TSB_OUTPUT_EXISTS',
      message: expect.stringContaining('tiny-x86_64.r2.xz') as unknown,
    });
    expect(indexIn(out)).toBe(index);
    expect(readFileSync(join(out, 'tiny-x86_64.r2.xz')).equals(template)).toBe(true);
    expect((await publish(out, { force: true })).sent).toContain('tiny-x86_64.r2.xz');
  });

  it('is known by the index of a key that was announced there, when the one before is retired', async () => {
    const change = async (keys: KeyChange): Promise<void> => {
      const changed = await changedSigners(dir, keys, unasked);
      await signAgain({ dir, keep: 1, ...changed });
    };
    const [retire = ''] = (await listRepository(dir)).keys;
    await publish(out);
    const early = join(repository.path, 'early');
    cpSync(out, early, { recursive: true });
    await change({ newKey: 'generate' });
    await publish(out);
    await change({ retire });
    await publish(out);
    expect(indexIn(out)).toBe(indexIn(dir));
    // Where the key was never announced, nothing shows that the repository is the same.
    await expect(publish(early)).rejects.toMatchObject({ code: 'TSB_OUTPUT_EXISTS' });
  });
});

/** Times of signatures have one second. */
const untilNextSecond = (): Promise<void> => setTimeout(1100);

it.each(['file', 'file/below', '/proc/none', '/proc/none/below'])(
  'refuses a target that cannot be one: %s',
  async (name) => {
    writeFileSync(join(repository.path, 'file'), '');
    const to = resolve(repository.path, name);
    await expect(publish(to)).rejects.toMatchObject({ code: 'TSB_OUTPUT_UNUSABLE' });
  },
);

it('says of a repository that is not there that it is not there', async () => {
  const none = join(repository.path, 'none');
  const target = await openTarget(none, out);
  await expect(repository.publish(target, { dir: none })).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
});
