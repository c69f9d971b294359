import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readTar } from '../../../src/customize/tar/read-tar.js';
import { bytesSource } from '../../../src/io/byte-source.js';
import { run } from '../../helpers/guest-image.js';
import { scratchFolder } from '../../helpers/scratch-folder.js';

async function readAll(bytes: Uint8Array): Promise<number> {
  let count = 0;
  for await (const entry of readTar(bytesSource('x.tar', bytes))) {
    for await (const piece of entry.content()) count += piece.length;
  }
  return count;
}

it('tells an archive that is cut off or damaged from what is none', async () => {
  await using folder = await scratchFolder();
  writeFileSync(join(folder.path, 'file'), Buffer.alloc(3000, 'x'));
  const tar = Buffer.from(run('tar', ['-C', folder.path, '-cf', '-', 'file']), 'latin1');
  await expect(readAll(tar)).resolves.toBe(3000);
  await expect(readAll(tar.subarray(0, 2000))).rejects.toThrow(/at byte 0: the archive is cut off/);
  await expect(readAll(Buffer.from('hello'))).rejects.toThrow(/not a tar archive: it has 5 bytes/);
  await expect(readAll(Buffer.alloc(4096, 'text '))).rejects.toThrow(/not a tar archive: it does not begin/);
});
