import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readTar } from '../../../src/customize/tar/read-tar.js';
import { bytesSource } from '../../../src/io/byte-source.js';
import { run } from '../../helpers/guest-image.js';
import { scratchFolder } from '../../helpers/scratch-folder.js';

async function readAll(bytes: Uint8Array, warnings: string[] = []): Promise<number> {
  let count = 0;
  const options = { warn: (message: string) => void warnings.push(message) };
  for await (const entry of readTar(bytesSource('x.tar', bytes), options)) {
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

it('notices where between its parts an archive is cut off', async () => {
  await using folder = await scratchFolder();
  writeFileSync(join(folder.path, 'é'.repeat(70)), 'x');
  const words = ['-C', folder.path, '--format=pax', '-cf', '-', 'é'.repeat(70)];
  const tar = execFileSync('tar', words);
  // An extended header with its records, a header, content, the mark at the end.
  const cut = (length: number): Promise<number> => readAll(tar.subarray(0, length));
  await expect(cut(0)).rejects.toThrow(/it is empty/);
  for (const length of [512, 600]) await expect(cut(length)).rejects.toThrow(/cut off/);
  for (const length of [1000, 1024]) await expect(cut(length)).rejects.toThrow(/announced and missing/);
  for (const length of [1100, 1536, 1800]) await expect(cut(length)).rejects.toThrow(/cut off/);
  const warnings: string[] = [];
  await expect(readAll(tar.subarray(0, 2048), warnings)).resolves.toBe(1);
  expect(warnings).toEqual([expect.stringContaining('no mark at its end')]);
  await expect(readAll(tar, warnings)).resolves.toBe(1);
  expect(warnings).toHaveLength(1);
});
