import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { asWriter } from '../../src/index-repo/publish-lock.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

it('lets writers in one by one, and tells who waits for whom', async () => {
  await using folder = await scratchFolder();
  const { path } = folder;
  const log: string[] = [];
  let warn: (message: string) => void = () => undefined;
  const warned = new Promise<string>((resolve) => (warn = resolve));
  const first = asWriter(path, {}, async () => {
    log.push('first begins');
    log.push(await warned);
    log.push('first ends');
  });
  const second = asWriter(path, { warn }, () => {
    log.push('second');
    return Promise.resolve(42);
  });
  await first;
  expect(await second).toBe(42);
  const wait = expect.stringMatching(
    `^${path} is being worked on by process ${process.pid} on .*: waiting for it$`,
  ) as string;
  expect(log).toEqual(['first begins', wait, 'first ends', 'second']);
  expect(readdirSync(path)).toEqual([]);
});

it('tells a folder that cannot be written', async () => {
  await using folder = await scratchFolder();
  const file = join(folder.path, 'file');
  writeFileSync(file, '');
  const never = (): Promise<never> => Promise.reject(new Error('not to be run'));
  for (const dir of ['/proc/self', join(folder.path, 'missing'), file])
    await expect(asWriter(dir, {}, never)).rejects.toMatchObject({ code: 'TSB_OUTPUT_UNUSABLE' });
});

it('leaves what is no lock where the lock should be', async () => {
  await using folder = await scratchFolder();
  mkdirSync(join(folder.path, '.lock'));
  await expect(asWriter(folder.path, {}, () => Promise.resolve())).rejects.toMatchObject({
    code: 'TSB_LOCKED',
  });
});
