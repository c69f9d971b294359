import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { formatIdentity, ownIdentity } from '../../src/io/process-identity.js';
import { type MountPlace, openMountPlace } from '../../src/serve/mount-place.js';
import { type MountState, mountState, ownServer, readRecord } from '../../src/serve/mount-record.js';
import { takeDown } from '../../src/serve/unmount-files.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let dir: string;
let state: MountState;

beforeEach(async () => {
  folder = await scratchFolder();
  vi.stubEnv('XDG_RUNTIME_DIR', join(folder.path, 'run'));
  dir = join(folder.path, 'm');
  state = mountState(dir);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await folder[Symbol.asyncDispose]();
});

/** Of a process that does not run: its number is another's, or nobody's. */
const DEAD = formatIdentity({ pid: 1, startTime: '12345678901234', table: ownIdentity().table });

/** What a mount leaves whose server and guard were killed, and whose file nothing is mounted on any more. */
function leaveRemains(): void {
  mkdirSync(dir);
  writeFileSync(join(dir, 'disk.img'), '');
  mkdirSync(state.folder, { recursive: true });
  const record = { dir, madeDir: true, server: DEAD, src: 'old.img', files: [join(dir, 'disk.img')] };
  writeFileSync(join(state.folder, 'mount.json'), JSON.stringify(record));
}

const open = (): Promise<MountPlace> => openMountPlace(dir, { src: 'new.img' });

/** What is there of mounts: the folders of their states, and locks. */
const states = (): string[] => {
  const mounts = dirname(state.folder);
  return existsSync(mounts) ? readdirSync(mounts) : [];
};

describe('openMountPlace', () => {
  it('makes a folder and files, and leaves nothing', async () => {
    {
      await using place = await open();
      expect(await place.makeFiles(['disk.img', 'p1'])).toEqual([join(dir, 'disk.img'), join(dir, 'p1')]);
      expect(await readRecord(state)).toMatchObject({ server: ownServer(), madeDir: true });
      expect(states()).toHaveLength(1);
    }
    expect(existsSync(dir)).toBe(false);
    expect(states()).toEqual([]);
  });

  it('takes over what a dead mount left', async () => {
    leaveRemains();
    await using place = await open();
    expect(readdirSync(place.dir)).toEqual([]);
    expect(await readRecord(state)).toMatchObject({ server: ownServer(), src: 'new.img' });
  });

  it('gives it to one only of those who want it at once', async () => {
    leaveRemains();
    const results = await Promise.allSettled(Array.from({ length: 6 }, open));
    const places = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    expect(places).toHaveLength(1);
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'TSB_LOCKED' });
    }
    expect(await places[0]?.makeFiles(['disk.img'])).toEqual([join(dir, 'disk.img')]);
    await places[0]?.[Symbol.asyncDispose]();
    expect(existsSync(dir)).toBe(false);
    expect(states()).toEqual([]);
  });

  it('leaves a folder alone that cannot be used', async () => {
    writeFileSync(dir, 'a file');
    await expect(open()).rejects.toMatchObject({ code: 'TSB_OUTPUT_UNUSABLE' });
    dir = join(folder.path, 'none', 'm');
    await expect(open()).rejects.toMatchObject({ code: 'TSB_OUTPUT_UNUSABLE' });
    expect(statSync(join(folder.path, 'm')).size).toBe('a file'.length);
    expect(states()).toEqual([]);
  });

  it('says where the state cannot be kept', async () => {
    writeFileSync(join(folder.path, 'run'), '');
    await expect(open()).rejects.toMatchObject({ code: 'TSB_OUTPUT_UNUSABLE' });
    expect(existsSync(dir)).toBe(false);
  });
});

describe('takeDown', () => {
  it('does nothing to the mount that took the place of the one it is called for', async () => {
    leaveRemains();
    await using place = await open();
    const files = await place.makeFiles(['disk.img']);
    // Whoever has read the old record before: a guard, an umount or another mount that was slower.
    await takeDown(state, DEAD);
    expect(files.map((path) => existsSync(path))).toEqual([true]);
    expect(await readRecord(state)).toMatchObject({ server: ownServer(), files });
  });

  it('may be called by all at once, and again', async () => {
    leaveRemains();
    await Promise.all(Array.from({ length: 4 }, () => takeDown(state, DEAD)));
    await takeDown(state, DEAD);
    expect(existsSync(dir)).toBe(false);
    expect(states()).toEqual([]);
  });
});
