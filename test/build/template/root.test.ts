import { execFile } from 'node:child_process';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compressDisk } from '../../../src/build/template/compress.js';
import { execMounting } from '../../../src/build/template/root.js';
import { silentProgress } from '../../../src/progress.js';
import { startChild } from '../../helpers/child-process.js';

const run = promisify(execFile);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tsb-root-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Pids of the processes that sleep for exactly `marker` seconds. */
async function sleepers(marker: string): Promise<string[]> {
  const { stdout } = await run('pgrep', ['-x', '-f', `sleep ${marker}`]).catch(() => ({ stdout: '' }));
  return stdout.split('\n').filter((line) => line !== '');
}

describe('execMounting', () => {
  it('lets nothing survive this process, not even when it is killed', async () => {
    const marker = `9${process.pid}.5`;
    const { child, ended } = startChild('mounting-child', [marker]);
    await new Promise((resolve) => child.stdout!.once('data', resolve));
    expect(await sleepers(marker)).toHaveLength(2);
    child.kill('SIGKILL');
    await ended;
    for (let i = 0; i < 100 && (await sleepers(marker)).length > 0; i += 1) await sleep(50);
    expect(await sleepers(marker)).toEqual([]);
  });

  it('hands on output, status and interruption', async () => {
    expect((await execMounting('echo', ['a b', '$x'])).stdout).toBe('a b $x\n');
    await expect(execMounting('sh', ['-c', 'echo no >&2; exit 7'])).rejects.toMatchObject({
      code: 'TSB_TOOL_FAILED',
      message: 'sh failed with status 7: no',
    });
    const controller = new AbortController();
    const reason = new Error('stop');
    const onStderr = (): void => controller.abort(reason);
    const script = 'trap "exit 3" TERM; echo started >&2; while :; do sleep 0.05; done';
    await expect(execMounting('sh', ['-c', script], { signal: controller.signal, onStderr })).rejects.toBe(
      reason,
    );
  });
});

describe('compressDisk', () => {
  it('counts the data as it is compressed, and not the holes', async () => {
    const [from, to] = [join(folder, 'disk'), join(folder, 'disk.xz')];
    await using disk = await open(from, 'wx');
    await disk.truncate(64 * 1024 ** 2);
    await disk.write(Buffer.alloc(1024 ** 2, 'data'), 0, 1024 ** 2, 40 * 1024 ** 2);
    let total: number | undefined;
    let done = 0;
    const progress = {
      ...silentProgress,
      step: (_: string, totalBytes?: number) => {
        total = totalBytes;
        return { advance: (bytes: number) => void (done += bytes), [Symbol.dispose]: () => undefined };
      },
    };
    await compressDisk({ from, to }, { jobs: 1, progress });
    expect(total).toBe(1024 ** 2);
    expect(done).toBe(total);
    const { stdout } = await run('xz', ['-dc', to], { encoding: 'buffer', maxBuffer: 2 ** 27 });
    expect(stdout.equals(await readFile(from))).toBe(true);
  });
});
