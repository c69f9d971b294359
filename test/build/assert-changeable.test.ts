import { execFileSync } from 'node:child_process';
import { chmod, chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { assertChangeable } from '../../src/build/assert-changeable.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

const NOBODY = 65534;
const ROOT = join(import.meta.dirname, '../..');

/** What is said to one who is not root: root may write everywhere. */
function saidToNobody(path: string, byCopy: boolean): string {
  const program = `import { assertChangeable } from ${JSON.stringify(join(ROOT, 'src/build/assert-changeable.ts'))};
    const said = await assertChangeable(${JSON.stringify(path)}, { byCopy: ${byCopy} }).catch((error) => error);
    process.stdout.write(said ? said.code + " " + said.message : "fine");`;
  const node = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', program];
  const user = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'];
  return execFileSync('setpriv', [...user, ...node], { cwd: ROOT, encoding: 'utf8' });
}

it('lets pass what can be written', async () => {
  await using folder = await scratchFolder();
  const disk = join(folder.path, 'disk');
  await writeFile(disk, 'disk');
  await assertChangeable(disk, { byCopy: true });
  expect(await readFile(disk, 'utf8')).toBe('disk');
});

it('says before any work that a disk or its folder is read-only', async () => {
  await using folder = await scratchFolder();
  await chmod(folder.path, 0o755);
  const place = join(folder.path, 'place');
  const disk = join(place, 'disk');
  await mkdir(place);
  await writeFile(disk, 'disk');
  await chown(disk, NOBODY, NOBODY);
  expect(saidToNobody(disk, false)).toBe('fine');
  expect(saidToNobody(disk, true)).toMatch(
    /^TSB_OUTPUT_UNUSABLE .*\/disk: no files can be made in .*\/place, but a copy must be: no permission$/,
  );
  await chmod(disk, 0o444);
  expect(saidToNobody(disk, false)).toMatch(
    /^TSB_OUTPUT_UNUSABLE .*\/disk: may not be written: no permission$/,
  );
});

it('says before any work that only the owner can replace a disk in a sticky folder', async () => {
  await using folder = await scratchFolder();
  const disk = join(folder.path, 'disk');
  await writeFile(disk, 'disk');
  await chmod(disk, 0o666);
  await chmod(folder.path, 0o1777);
  expect(saidToNobody(disk, false)).toBe('fine');
  expect(saidToNobody(disk, true)).toMatch(
    /^TSB_OUTPUT_UNUSABLE .*\/disk: only its owner can replace it in /,
  );
  await chown(disk, NOBODY, NOBODY);
  expect(saidToNobody(disk, true)).toBe('fine');
});
