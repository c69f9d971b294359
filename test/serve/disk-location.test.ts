import { describe, expect, it } from 'vitest';
import { TsbuilderError } from '../../src/errors.js';
import { locateDisk, noSuchDisk } from '../../src/serve/disk-location.js';

describe('locateDisk', () => {
  it.each(['nope.xz', 'nope.IMG', 'a.qcow2', 'a.gz', 'a.zst'])('takes %s to be a path', async (src) => {
    expect(await locateDisk(src)).toEqual({ kind: 'file', path: src });
  });

  it.each(['debian-12', 'centos-7.9', 'src'])('takes %s to be a template', async (src) => {
    expect(await locateDisk(src)).toEqual({ kind: 'template', name: src });
  });

  it('takes what stands behind a file and a colon for a partition, and says when it is none', async () => {
    const file = import.meta.filename;
    for (const part of ['-1', 'x', '', '99999'])
      await expect(locateDisk(`${file}:${part}`)).rejects.toMatchObject({
        code: 'TSB_USAGE',
        message: `${file}: '${part}' is not the number of a partition`,
      });
    await expect(locateDisk(`${file}:2`)).rejects.toMatchObject({
      code: 'TSB_USAGE',
      message: `${file}: a partition cannot be named here like that`,
    });
    const product = 'com.ubuntu.cloud:server:22.04:amd64';
    expect(await locateDisk(product)).toEqual({ kind: 'template', name: product });
  });

  it('refuses nothing at all', async () => {
    await expect(locateDisk('')).rejects.toMatchObject({ code: 'TSB_USAGE' });
  });
});

describe('noSuchDisk', () => {
  it('also says that there is no such file, when templates cannot be asked for too', () => {
    const away = new TsbuilderError('TSB_NETWORK', 'host: away', { hint: 'Check the network.' });
    expect(noSuchDisk('debain', away)).toMatchObject({
      code: 'TSB_NETWORK',
      message: 'debain: no such file, and whether it is a template cannot be told: host: away',
      hint: 'If a file is meant, check its name. For a template: Check the network.',
    });
    const other = new TsbuilderError('TSB_SIGNATURE_BAD', 'bad');
    expect(noSuchDisk('debain', other)).toBe(other);
  });
});
