import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RollbackMemory, type SignedVersion } from '../../src/index-repo/rollback.js';

let folder: string;
let memory: RollbackMemory;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rollback-'));
  memory = new RollbackMemory(folder);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const STRICT = { allowRollback: false };
const KEEP = { forgetNewer: false };
const version = (day: string, text = day, url = 'https://u:p@x.org/index.asc'): SignedVersion => ({
  url,
  createdAt: new Date(`${day}T00:00:00Z`),
  text,
});
const files = (): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('/'));

describe('RollbackMemory', () => {
  it('knows first, same, newer, older and twin', async () => {
    expect(await memory.check(version('2026-02-01'), STRICT)).toBe('first');
    await memory.remember(version('2026-02-01'), KEEP);
    expect(await memory.check(version('2026-02-01'), STRICT)).toBe('same');
    expect(await memory.check(version('2026-02-01', 'other'), STRICT)).toBe('twin');
    expect(await memory.check(version('2026-03-01'), STRICT)).toBe('newer');
    expect(await memory.check(version('2026-01-01'), { allowRollback: true })).toBe('older');
    await expect(memory.check(version('2026-01-01'), STRICT)).rejects.toMatchObject({
      code: 'TSB_SIGNATURE_ROLLBACK',
      message:
        'https://x.org/index.asc: was signed 2026-01-01T00:00:00Z, but one signed 2026-02-01T00:00:00Z has been seen before',
    });
  });

  it('remembers across processes, for each place apart', async () => {
    await memory.remember(version('2026-02-01'), KEEP);
    await expect(new RollbackMemory(folder).check(version('2026-01-01'), STRICT)).rejects.toThrow(
      /seen before/,
    );
    expect(await memory.check(version('2026-01-01', 'x', 'https://other.org/'), STRICT)).toBe('first');
  });

  it('keeps one file for each place, with no credentials in it', async () => {
    for (const day of ['2026-02-01', '2026-03-01', '2026-03-01']) await memory.remember(version(day), KEEP);
    expect(files()).toHaveLength(1);
    expect(files()[0]).toMatch(/^[0-9a-f]{64}\/1772323200$/);
  });

  it('is never moved back by a process that is late', async () => {
    await memory.remember(version('2026-03-01'), KEEP);
    await memory.remember(version('2026-02-01'), KEEP);
    await expect(memory.check(version('2026-02-01'), STRICT)).rejects.toThrow(/seen before/);
  });

  it('moves back when that is asked for', async () => {
    await memory.remember(version('2026-03-01'), KEEP);
    await memory.remember(version('2026-02-01'), { forgetNewer: true });
    expect(await memory.check(version('2026-02-01'), STRICT)).toBe('same');
    expect(files()).toHaveLength(1);
  });

  it('ignores what is not its own, and counts a file with damaged content', async () => {
    await memory.remember(version('2026-02-01'), KEEP);
    const [file] = files();
    writeFileSync(join(folder, file!), '');
    writeFileSync(join(folder, file!, '..', '99999999999.abc.tmp'), '');
    expect(await memory.check(version('2026-02-01'), STRICT)).toBe('twin');
    await expect(memory.check(version('2026-01-01'), STRICT)).rejects.toThrow(/seen before/);
  });

  it('ends with the newest when many remember at once', async () => {
    const days = ['2026-01-05', '2026-01-09', '2026-01-02', '2026-01-07'];
    await Promise.all(days.map((day) => memory.remember(version(day), KEEP)));
    expect(await memory.check(version('2026-01-09'), STRICT)).toBe('same');
  });
});
