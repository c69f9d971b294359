import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openFileSource } from '../../src/io/file-source.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

it('says that a file became shorter while it was used', async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'disk.img');
  await writeFile(path, Buffer.alloc(8192));
  await using source = await openFileSource(path);
  await truncate(path, 4096);
  expect(await source.read(0, 4096)).toHaveLength(4096);
  await expect(source.read(4096, 100)).rejects.toMatchObject({
    code: 'TSB_IO',
    message: expect.stringMatching(/ends at 4096, .*the file became shorter while it was used/) as string,
  });
});
