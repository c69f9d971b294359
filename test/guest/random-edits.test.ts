import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openExtGuest } from '../../src/guest/ext/open-ext-guest.js';
import type { Guest, GuestFiles } from '../../src/guest/guest.js';
import { OFFSET, fsck, makeExtImage } from '../helpers/guest-image.js';

/** Everything below `folder`, one line each. */
async function dump(files: GuestFiles, folder = '/'): Promise<string[]> {
  const lines: string[] = [];
  for (const name of await files.list(folder)) {
    const path = `${folder === '/' ? '' : folder}/${name}`;
    const { type, mode, uid, gid } = await files.lstat(path);
    const content =
      type === 'file'
        ? (await files.readFile(path)).toString()
        : type === 'symlink'
          ? await files.readLink(path)
          : '';
    const xattrs =
      type === 'symlink'
        ? []
        : [...(await files.getXattrs(path))].map(([key, value]) => `${key}=${value.toString('hex')}`);
    lines.push(`${path} ${type} ${mode.toString(8)} ${uid}:${gid} ${content} ${xattrs.sort().join(' ')}`);
    if (type === 'directory') lines.push(...(await dump(files, path)));
  }
  return lines;
}

const path = fc.constantFrom(
  '/a',
  '/b',
  '/a/x',
  '/a/y',
  '/a/y/z',
  '/b/x',
  '/b/"q"',
  '/old/f',
  '/old/g',
  '/old/d',
  '/old/d/h',
  '/old/d/k',
  '/old',
  '/old/l',
);

type Edit = (guest: Guest) => Promise<void>;

const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.tuple(path, fc.string({ maxLength: 9 })).map(
    ([at, text]): Edit =>
      (guest) =>
        guest.writeFile(at, text),
  ),
  path.map(
    (at): Edit =>
      (guest) =>
        guest.mkdir(at, { mode: 0o750 }),
  ),
  fc.tuple(path, path).map(
    ([to, at]): Edit =>
      (guest) =>
        guest.symlink(to, at),
  ),
  fc.tuple(path, path).map(
    ([from, at]): Edit =>
      (guest) =>
        guest.hardLink(from, at),
  ),
  fc.tuple(path, path).map(
    ([from, to]): Edit =>
      (guest) =>
        guest.rename(from, to),
  ),
  path.map(
    (at): Edit =>
      (guest) =>
        guest.remove(at, { recursive: true }),
  ),
  path.map(
    (at): Edit =>
      (guest) =>
        guest.chmod(at, 0o611),
  ),
  path.map(
    (at): Edit =>
      (guest) =>
        guest.chown(at, { uid: 1234, gid: 77777 }),
  ),
  fc.tuple(path, fc.uint8Array({ minLength: 1, maxLength: 300 })).map(
    ([at, value]): Edit =>
      (guest) =>
        guest.setXattr(at, 'user.k', value),
  ),
  path.map(
    (at): Edit =>
      (guest) =>
        guest.removeXattr(at, 'user.k'),
  ),
  fc.constant<Edit>((guest) => guest.commit()),
);

describe('random edits', () => {
  it('reach the disk as they were seen in memory', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 5, maxLength: 40 }), async (edits) => {
        const disk = makeExtImage(
          { 'old/f': 'f', 'old/g': 'g', 'old/d/h': 'h', 'old/d/k': 'k', 'old/l': { link: 'f' } },
          { mib: 4 },
        );
        await using guest = await openExtGuest(disk, { offset: OFFSET });
        for (const each of edits) {
          await each(guest).then(
            () => undefined,
            (error: unknown) =>
              expect(error).toMatchObject({
                code: 'TSB_GUEST',
                details: { reason: expect.any(String) as string },
              }),
          );
        }
        const seen = await dump(guest);
        await guest.commit();
        fsck(disk);
        await using again = await openExtGuest(disk, { offset: OFFSET });
        expect(await dump(again)).toEqual(seen);
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});
