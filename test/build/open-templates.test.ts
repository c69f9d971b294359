import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type OpenedTemplates, openTemplates } from '../../src/build/open-templates.js';
import { silentProgress } from '../../src/progress.js';
import { KEYS } from '../helpers/signed-fixtures.js';

// Nothing listens on the discard port.
const DEAD = 'http://127.0.0.1:9/index.asc';

let root: string;
let warnings: string[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'templates-'));
  cpSync(join(KEYS, 'good.asc'), join(root, 'index.asc'));
  vi.stubEnv('TSBUILDER_DATA_DIR', join(root, 'data'));
  warnings = [];
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true, force: true });
});

const open = (): Promise<OpenedTemplates> =>
  openTemplates({
    sources: [DEAD, join(root, 'index.asc')],
    fingerprints: [],
    keys: [join(KEYS, 'good.key.asc')],
    checkSignature: true,
    allowRollback: false,
    cacheDir: join(root, 'cache'),
    offline: false,
    progress: { ...silentProgress, warn: (message) => warnings.push(message) },
    signal: new AbortController().signal,
  });

describe('openTemplates', () => {
  it('tells of a source out of reach once, and the next hour no more unless asked to', async () => {
    const first = await open();
    expect(warnings).toEqual([]);
    expect(first.select('debian-12', 'x86_64').revision).toBe('3');
    first.select('debian-12', 'x86_64');
    expect(warnings).toEqual([expect.stringContaining(`not used because out of reach: ${DEAD}`)]);
    const second = await open();
    second.select('debian-12', 'x86_64');
    expect(warnings).toHaveLength(1);
    second.tellAway();
    expect(warnings).toHaveLength(2);
  });
});
