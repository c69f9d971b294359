import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCustomize } from '../../src/build/customize-in-place.js';
import { joinLists } from '../../src/customize/customize-list.js';
import { parseCommands } from '../../src/customize/parse-commands.js';
import { planCustomize } from '../../src/customize/plan-customize.js';
import { seededRandom } from '../../src/io/random.js';
import { silentProgress } from '../../src/progress.js';
import { run, scratchPath } from '../helpers/guest-image.js';

describe('a disk without a system', () => {
  it.each(['raw', 'qcow2'] as const)('is refused before any of it is copied: %s', async (format) => {
    const raw = scratchPath('empty.img');
    run('truncate', ['-s', '20M', raw]);
    run('mkfs.vfat', ['-n', 'DATA', raw]);
    const disk = format === 'raw' ? raw : scratchPath('empty.qcow2');
    if (format !== 'raw') run('qemu-img', ['convert', '-f', 'raw', '-O', format, raw, disk]);
    const before = readdirSync(dirname(disk));
    const steps: string[] = [];
    const { operations, settings } = joinLists([parseCommands('test', 'hostname web1')]);
    const work = { stages: planCustomize(operations), settings, machine: { network: false } };
    const step: typeof silentProgress.step = (label) => {
      steps.push(label);
      return silentProgress.step(label);
    };
    await expect(
      runCustomize(
        { disk, force: false, backup: true, work, jobs: 1 },
        {
          random: seededRandom('test'),
          sync: false,
          progress: { ...silentProgress, step },
          signal: new AbortController().signal,
        },
      ),
    ).rejects.toMatchObject({
      code: 'TSB_GUEST',
      message: `${disk}: there is no Linux system on it, but vfat on the whole disk`,
    });
    expect(steps).toEqual([]);
    expect(readdirSync(dirname(disk))).toEqual(before);
  });
});
