import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { formatIdentity, ownIdentity } from '../../../src/io/process-identity.js';
import { silentProgress } from '../../../src/progress.js';
import { changedSigners } from '../../../src/publish/repo/rotate-keys.js';
import { signAgain } from '../../../src/publish/repo/change-repository.js';
import {
  type RepositoryVerdict,
  type VerifyRequest,
  verifyRepository,
} from '../../../src/publish/repo/verify-repository.js';
import { type TinyRepository, tinyRepository } from '../../helpers/publish-target.js';
import { run } from '../../helpers/disk.js';
import { SMALL_DEBIAN, makeSystemDisk } from '../../helpers/system-disk.js';

vi.setConfig({ testTimeout: 60_000 });

const keys = { keys: [], gpgKeys: [], passphrase: () => Promise.reject(new Error('not asked for')) };

let repository: TinyRepository;
let dir: string;
beforeEach(async () => {
  repository = await tinyRepository();
  ({ dir } = repository);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await repository[Symbol.asyncDispose]();
});

const verify = (more: Partial<VerifyRequest> = {}): Promise<RepositoryVerdict> =>
  verifyRepository({
    ...{ dir, prune: false, progress: silentProgress, signal: new AbortController().signal, ...more },
  });
const put = (name: string): void => writeFileSync(join(dir, name), 'x');
const faults = async (more?: Partial<VerifyRequest>): Promise<string[]> =>
  (await verify(more)).faults.map(({ code }) => code);

describe('verifyRepository', () => {
  it('tells what nothing names, but no former revisions nor what is not ours, and removes it when asked', async () => {
    await repository.add('y', 1);
    const kept = [...readdirSync(dir), 'README', 'index.html'].sort();
    expect(kept).toContain('tiny-x86_64.r1.xz');
    const dead = `.x.${formatIdentity(ownIdentity()).replace(/^\d+/, '4194303')}.1.tsb`;
    const strays = [dead, 'gone-x86_64.r1.xz', 'tiny-x86_64.r0.xz.blocks', 'tiny-x86_64.r9.xz'];
    for (const name of ['README', 'index.html', ...strays]) put(name);
    expect(await verify()).toMatchObject({ faults: [], strays, pruned: false });
    expect(readdirSync(dir)).toEqual(expect.arrayContaining(strays));
    expect(await verify({ prune: true })).toMatchObject({ faults: [], strays, pruned: true });
    expect(
      readdirSync(dir)
        .filter((name) => name !== '.lock')
        .sort(),
    ).toEqual(kept);
    expect(await verify()).toMatchObject({ faults: [], strays: [] });
  });

  it('removes nothing beside an index that its keys have not signed', async () => {
    put('tiny-x86_64.r9.xz');
    const index = join(dir, 'index.asc');
    writeFileSync(index, readFileSync(index, 'utf8').replace('arch=x86_64', 'arch=aarch64'));
    const warnings: string[] = [];
    const progress = { ...silentProgress, warn: (text: string) => void warnings.push(text) };
    const verdict = await verify({ prune: true, progress });
    expect(verdict.pruned).toBe(false);
    expect(verdict.faults[0]).toMatchObject({ code: 'TSB_SIGNATURE_BAD', exit: 4 });
    expect(readdirSync(dir)).toContain('tiny-x86_64.r9.xz');
    expect(warnings.join()).toContain('nothing was removed');
  });

  it('looks at the index of each key, and at a template that both name once', async () => {
    const changed = await changedSigners(dir, { newKey: 'generate' }, keys);
    await signAgain({ dir, keep: 0, ...changed });
    const other = readdirSync(dir).find((name) => name.startsWith('index-')) ?? '';
    expect(await faults()).toEqual([]);
    writeFileSync(join(dir, 'tiny-x86_64.r1.xz.blocks'), 'damaged');
    expect(await faults()).toEqual(['TSB_CHECKSUM_MISMATCH']);
    writeFileSync(join(dir, other), 'damaged');
    expect((await verify()).faults[0]?.message).toContain(other);
  });

  it('tells once that a file is missing', async () => {
    rmSync(join(dir, 'tiny-x86_64.r1.xz'));
    expect(await faults()).toEqual(['TSB_NOT_FOUND']);
  });

  it('does not wait for a pipe in the place of a file', async () => {
    rmSync(join(dir, 'tiny-x86_64.r1.xz'));
    execFileSync('mkfifo', [join(dir, 'tiny-x86_64.r1.xz')]);
    expect(await faults()).toEqual(['TSB_IO']);
  });

  it('tells a map of another file from damage in a block', async () => {
    const path = join(dir, 'tiny-x86_64.r1.xz');
    const data = readFileSync(path);
    data[20] = (data[20] ?? 0) ^ 1;
    writeFileSync(path, data);
    const { faults: found } = await verify();
    expect(found.map(({ message }) => message).join('\n')).toContain('block 0 (bytes 12-');
    expect(found).toContainEqual(
      expect.objectContaining({ code: 'TSB_CHECKSUM_MISMATCH', exit: 5, name: 'tiny' }),
    );
  });

  it('builds each template, grown, and leaves nothing of that', async () => {
    await repository.publishDisk('system', makeSystemDisk(SMALL_DEBIAN));
    const before = readdirSync(tmpdir()).filter((name) => name.startsWith('tsbuilder-verify-'));
    expect(await verify({ buildJobs: 1 })).toMatchObject({ faults: [], templates: 2 });
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('tsbuilder-verify-'))).toEqual(before);
  });

  it('finds by building what no checksum tells: a filesystem that was damaged before it was packed', async () => {
    const disk = makeSystemDisk(SMALL_DEBIAN);
    await repository.publishDisk('system', disk);
    expect(await faults({ buildJobs: 1 })).toEqual([]);
    run('debugfs', ['-w', '-R', 'clri /etc', `${disk}?offset=${1024 ** 2}`]);
    await repository.publishDisk('system', disk);
    expect(await faults()).toEqual([]);
    expect(await faults({ buildJobs: 1 })).toEqual(['TSB_FILESYSTEM']);
  });

  it('is interrupted as a whole, and is no use without a repository', async () => {
    const signal = AbortSignal.abort(new DOMException('stopped', 'AbortError'));
    await expect(verify({ signal, buildJobs: 1 })).rejects.toMatchObject({ name: 'AbortError' });
    await expect(verify({ dir: join(dir, 'none') })).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
    await expect(verify({ dir: repository.path })).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
  });
});
