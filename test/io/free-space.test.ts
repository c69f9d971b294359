import { statfsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { TsbuilderError } from '../../src/errors.js';
import { assertFreeSpace, writeError } from '../../src/io/free-space.js';
import { tempFolder } from '../helpers/disk-tools.js';

const systemError = (code: string): Error => Object.assign(new Error(`${code}: x`), { code });

describe('assertFreeSpace', () => {
  it('passes when there is room', async () => {
    using folder = tempFolder();
    await expect(assertFreeSpace(folder.path, 4096)).resolves.toBeUndefined();
  });

  it('says both numbers when there is not', async () => {
    using folder = tempFolder();
    const { bavail, bsize } = statfsSync(folder.path);
    const needed = bavail * bsize * 2 + 1024 ** 4;
    await expect(assertFreeSpace(folder.path, needed)).rejects.toMatchObject({
      code: 'TSB_NO_SPACE',
      message: expect.stringMatching(
        /: [\d.]+ [TP]iB are needed and only [\d.]+ [MGT]iB are free$/,
      ) as string,
      details: { needed },
    });
  });

  it('passes on a filesystem that does not count', async () => {
    await expect(assertFreeSpace('/proc', 1e15)).resolves.toBeUndefined();
  });

  it('names a folder that is not there', async () => {
    using folder = tempFolder();
    await expect(assertFreeSpace(folder.file('none'), 1)).rejects.toMatchObject({
      code: 'TSB_OUTPUT_UNUSABLE',
    });
  });
});

describe('writeError', () => {
  it.each([
    ['ENOSPC', 'TSB_NO_SPACE'],
    ['EDQUOT', 'TSB_NO_SPACE'],
    ['EFBIG', 'TSB_OUTPUT_UNUSABLE'],
    ['EIO', 'TSB_IO'],
  ])('turns %s into %s', (errno, code) => {
    expect(writeError('/out', systemError(errno))).toMatchObject({
      code,
      message: expect.stringMatching(/^\/out: /) as string,
    });
  });

  it('leaves aborts and our own errors alone', () => {
    const abort = new DOMException('stop', 'AbortError');
    const own = new TsbuilderError('TSB_TOO_SMALL', 'small');
    expect(writeError('/out', abort)).toBe(abort);
    expect(writeError('/out', own)).toBe(own);
  });
});
