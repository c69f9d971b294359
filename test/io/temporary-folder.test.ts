import { statSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeTemporaryFolder } from '../../src/io/temporary-folder.js';
import { tempFolder } from '../helpers/disk-tools.js';

describe('a temporary folder', () => {
  it('is new and private, where it is asked for', async () => {
    using folder = tempFolder();
    const path = await makeTemporaryFolder('some-', folder.path);
    expect(dirname(path)).toBe(folder.path);
    expect(basename(path)).toMatch(/^some-[A-Za-z0-9]{6}$/);
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  it('that cannot be made is told with the folder that it was to be in', async () => {
    using folder = tempFolder();
    writeFileSync(folder.file('file'), '');
    const refused = async (parent: string, problem: string): Promise<void> => {
      await expect(makeTemporaryFolder('some-', parent)).rejects.toMatchObject({
        code: 'TSB_OUTPUT_UNUSABLE',
        message: `temporary files cannot be made in ${parent}: ${problem}`,
        hint: 'Choose another folder for them: TMPDIR=FOLDER.',
      });
    };
    await refused(folder.file('missing'), 'no such folder');
    await refused(folder.file('file'), 'is not a folder');
  });
});
