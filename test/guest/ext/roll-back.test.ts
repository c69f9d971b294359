import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { UNDO, UNDO_REPAIR, readSuper, rollBack } from '../../../src/guest/ext/roll-back.js';
import { runE2fs } from '../../../src/guest/ext/e2fs-run.js';
import { openE2fsScratch } from '../../../src/io/e2fs-env.js';
import { OFFSET, makeExtImage } from '../../helpers/guest-image.js';

async function changedDisk() {
  const diskPath = makeExtImage({ 'etc/hostname': 'old\n', 'var/big': Buffer.alloc(300_000, 'ab') });
  const target = { diskPath, offset: OFFSET, now: 1_700_000_000 };
  const before = readFileSync(diskPath);
  const scratch = await openE2fsScratch(diskPath, OFFSET);
  const superblock = await readSuper(target);
  await runE2fs(target, scratch, {
    command: ['debugfs', '-w', '-z', UNDO, '-R', 'kill_file /var/big', scratch.device],
  });
  expect(readFileSync(diskPath).equals(before)).toBe(false);
  return { target, scratch, superblock, before };
}

it('takes back what debugfs wrote', async () => {
  const { target, scratch, superblock, before } = await changedDisk();
  await using _ = scratch;
  await rollBack(target, scratch, superblock);
  expect(readFileSync(target.diskPath).equals(before)).toBe(true);
});

it('takes back all that it can when one undo file is damaged, and tells what it could not', async () => {
  const { target, scratch, superblock, before } = await changedDisk();
  await using _ = scratch;
  writeFileSync(join(scratch.folder, UNDO_REPAIR), 'no undo file');
  await expect(rollBack(target, scratch, superblock)).rejects.toMatchObject({
    code: 'TSB_GUEST',
    message: expect.stringContaining('could not be taken back') as string,
  });
  expect(readFileSync(target.diskPath).equals(before)).toBe(true);
});
