import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defaultOutput, planBuild } from '../../src/build/plan-build.js';
import type { TemplateEntry } from '../../src/index-repo/template-entry.js';

const GIB = 1024 ** 3;
const entry: TemplateEntry = {
  name: 'debian-12',
  arch: 'x86_64',
  url: 'https://example.com/t/debian-12.xz',
  sha512: 'ab'.repeat(64),
  revision: '3',
  size: 4 * GIB,
  expand: '/dev/sda2',
  notes: {},
  hidden: false,
  aliases: [],
  source: { name: 'example', uri: 'https://example.com/t/index.asc', format: 'native', checked: true },
};

describe('planBuild', () => {
  it('names the output after the template and its format', () => {
    expect(defaultOutput('debian-12', 'raw')).toBe('debian-12.img');
    expect(defaultOutput('debian-12', 'qcow2')).toBe('debian-12.qcow2');
    expect(planBuild(entry, { format: 'raw', machineId: 'random' }).output).toBe(resolve('debian-12.img'));
  });

  it('takes the partition to grow from the option before the index', () => {
    expect(planBuild(entry, { format: 'raw', machineId: 'random' }).expand).toBe('/dev/sda2');
    expect(planBuild(entry, { format: 'raw', machineId: 'random', expand: '1' }).expand).toBe('1');
  });

  it('names what other sources have under the same name', () => {
    const rival: TemplateEntry = { ...entry, revision: '2', source: { ...entry.source, name: 'local' } };
    const { template } = planBuild(entry, { format: 'raw', machineId: 'random', rivals: [rival] });
    expect(template).toMatchObject({ source: 'example', others: [{ source: 'local', revision: '2' }] });
  });

  it('refuses to shrink, with both sizes', () => {
    expect(() => planBuild(entry, { format: 'raw', machineId: 'random', targetSize: GIB })).toThrow(
      expect.objectContaining({
        code: 'TSB_TOO_SMALL',
        details: { targetSize: GIB, templateSize: 4 * GIB },
      }) as Error,
    );
  });
});
