import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { planBuild } from '../../src/build/plan-build.js';
import { unpackTemplate } from '../../src/build/unpack-template.js';
import { TsbuilderError } from '../../src/errors.js';
import type { TemplateHandle } from '../../src/index-repo/template-cache.js';
import { openTemplateCache } from '../../src/index-repo/template-cache.js';
import { openFileSource } from '../../src/io/file-source.js';
import { silentProgress } from '../../src/progress.js';
import { MIB } from '../helpers/disk.js';
import { templateEntry } from '../helpers/template-entry.js';
import { text } from '../helpers/xz.js';

let folder: string;
let raw: string;
let qcow2: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tsb-unpack-'));
  [raw, qcow2] = [join(folder, 'in.img'), join(folder, 'in.qcow2')];
  await writeFile(raw, Buffer.concat([Buffer.from(text(MIB)), Buffer.alloc(MIB)]));
  execFileSync('qemu-img', ['convert', '-O', 'qcow2', raw, qcow2]);
  await writeFile(join(folder, 'disk.img'), '');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Unpacks the qcow2 image; `verdict` is what verification says. Returns what was read before that. */
async function unpack(verdict: () => void): Promise<{ early: [offset: number, length: number][] }> {
  await using source = await openFileSource(qcow2);
  const early: [number, number][] = [];
  let isVerified = false;
  const spied: TemplateHandle['source'] = {
    ...source,
    read(offset, length, signal) {
      if (!isVerified) early.push([offset, length]);
      return source.read(offset, length, signal);
    },
  };
  const handle: TemplateHandle = {
    source: spied,
    indexSource: spied,
    origin: 'download',
    verify() {
      isVerified = true;
      return Promise.resolve().then(verdict);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const entry = templateEntry('http://localhost/in.qcow2', Buffer.alloc(0), {
    format: 'qcow2',
    size: 2 * MIB,
  });
  const output = join(folder, 'out.img');
  const context = {
    entry,
    cache: openTemplateCache(join(folder, 'cache')),
    jobs: 2,
    force: false,
    sync: false,
    offline: false,
    noCache: false,
    work: { stages: [], settings: {}, machine: { network: false } },
    progress: silentProgress,
    signal: new AbortController().signal,
  };
  const plan = planBuild(entry, { format: 'raw', machineId: 'keep', output });
  const disk = join(folder, 'disk.img');
  const done = unpackTemplate({ plan, context, handle, disk });
  return await done.then(
    () => ({ early }),
    (error: unknown) => Promise.reject(Object.assign(error as Error, { early })),
  );
}

describe('a template that is a bare qcow2 image', () => {
  it('is verified before anything but its magic number is looked at', async () => {
    const { early } = await unpack(() => undefined);
    expect(early).toEqual([[0, 4]]);
    const made = await readFile(join(folder, 'disk.img'));
    expect(made.equals(await readFile(raw))).toBe(true);
  });

  it('is never parsed when it is not what was signed', async () => {
    const wrong = new TsbuilderError('TSB_CHECKSUM_MISMATCH', 'wrong');
    const failed = unpack(() => {
      throw wrong;
    });
    await expect(failed).rejects.toMatchObject({ code: 'TSB_CHECKSUM_MISMATCH', early: [[0, 4]] });
    expect(await readFile(join(folder, 'disk.img'))).toHaveLength(0);
  });
});
