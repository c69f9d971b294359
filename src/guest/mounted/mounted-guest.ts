import { TsbuilderError } from '../../errors.js';
import type { Guest } from '../guest.js';
import type { GuestOs } from '../inspect.js';
import type { PartGuest } from '../pending-commit.js';
import { type CommitPart, commitTogether } from './commit-together.js';
import { type AbsentMount, type MountTable, isInside } from './mount.js';
import { mountedFiles } from './mounted-files.js';
import { type MountedPlace, findMounted, problem, resolveMounted } from './resolve-mounted.js';

/**
 * One guest made of the filesystems of `table`. Names and hard links do not go from one to another; `commit()` changes all of them or
 * none. Nothing can be changed below the mount point of what is not on the disk: TSB_GUEST with reason `not-on-disk`. Disposing it
 * disposes them.
 */
export function mountedGuest(filesystems: MountTable<PartGuest>, os: GuestOs): Guest {
  const folders = new Set<string>();
  const table: MountTable<PartGuest> = { ...filesystems, enterAbsent: refuseAbsent, folders };
  const place = (path: string): Promise<MountedPlace<PartGuest>> => placeToChange(table, path, 'parents');
  return {
    os,
    ...mountedFiles({ ...filesystems, folders }),
    async writeFile(path, content, attributes) {
      const { files, inner } = await placeToChange(table, path, 'links');
      await files.writeFile(inner, content, attributes);
    },
    mkdir: (path, options = {}) => makeFolder(table, path, options),
    async symlink(target, path, attributes) {
      const { files, inner } = await place(path);
      await files.symlink(target, inner, attributes);
    },
    async makeNode(path, node, attributes) {
      const { files, inner } = await place(path);
      await files.makeNode(inner, node, attributes);
    },
    async hardLink(existing, path) {
      const from = await findMounted(table, existing, 'parents');
      const to = await place(path);
      assertSame(table, from, to);
      await from.files.hardLink(from.inner, to.inner);
    },
    async rename(old, path) {
      const from = await findMounted(table, old, 'parents');
      const to = await place(path);
      assertNoMounts(table, from);
      assertSame(table, from, to);
      if (from.stat.type === 'directory') folders.clear();
      await from.files.rename(from.inner, to.inner);
    },
    async remove(path, options) {
      const found = await findMounted(table, path, 'parents');
      assertNoMounts(table, found);
      if (found.stat.type === 'directory') folders.clear();
      await found.files.remove(found.inner, options);
    },
    ...attributeEdits(table),
    commit: () => commitTogether(commitParts(table)),
    async [Symbol.asyncDispose]() {
      for (const { files } of table.mounts) await files?.[Symbol.asyncDispose]();
    },
  };
}

type AttributeEdits = 'scrub' | 'chmod' | 'chown' | 'setTime' | 'setXattr' | 'removeXattr';

/** What is done to a file that is there, links followed. */
function attributeEdits(table: MountTable<PartGuest>): Pick<Guest, AttributeEdits> {
  const find = async (path: string): ReturnType<typeof findMounted<PartGuest>> => {
    const found = await findMounted(table, path, 'links');
    assertOnDisk(table, found, path);
    return found;
  };
  return {
    async scrub(path) {
      const { files, inner } = await find(path);
      await files.scrub(inner);
    },
    async chmod(path, mode) {
      const { files, inner } = await find(path);
      await files.chmod(inner, mode);
    },
    async chown(path, owner) {
      const { files, inner } = await find(path);
      await files.chown(inner, owner);
    },
    async setTime(path, mtime) {
      const { files, inner } = await find(path);
      await files.setTime(inner, mtime);
    },
    async setXattr(path, name, value) {
      const { files, inner } = await find(path);
      await files.setXattr(inner, name, value);
    },
    async removeXattr(path, name) {
      const { files, inner } = await find(path);
      await files.removeXattr(inner, name);
    },
  };
}

/** Where a change is made that is not that of making a folder: not at a mount point of what is not on the disk either. */
async function placeToChange(
  table: MountTable<PartGuest>,
  path: string,
  follow: 'links' | 'parents',
): Promise<MountedPlace<PartGuest>> {
  const place = await resolveMounted(table, path, follow);
  assertOnDisk(table, place, path);
  return place;
}

function assertOnDisk(table: MountTable, { path }: MountedPlace, asked: string): void {
  const absent = table.absent.find(({ point }) => point === path);
  if (absent) refuseAbsent(absent, asked);
}

function refuseAbsent({ point, why }: AbsentMount, path: string): never {
  const message = `${path}: ${why}: the guest would not see what is written there`;
  throw new TsbuilderError('TSB_GUEST', message, {
    hint: 'Write it elsewhere; or, where the guest is to run without that filesystem, give its line in /etc/fstab the option nofail or noauto first.',
    details: { path, reason: 'not-on-disk', mountPoint: point },
  });
}

/** The root comes last: labelling what is mounted in it can still change it. */
function commitParts(table: MountTable<PartGuest>): CommitPart[] {
  return [...table.mounts]
    .reverse()
    .flatMap(({ point, files }) => (files ? [{ point, prepare: () => files.prepareCommit() }] : []));
}

async function makeFolder(
  table: MountTable<PartGuest>,
  path: string,
  options: NonNullable<Parameters<Guest['mkdir']>[1]>,
): Promise<void> {
  const { parents, ...attributes } = options;
  const names = path.split('/').filter((part) => part !== '' && part !== '.');
  const paths = names.map((_, index) => `/${names.slice(0, index + 1).join('/')}`);
  for (const each of parents ? paths : [path]) {
    const { files, inner, stat } = await resolveMounted(table, each, 'links');
    if (stat?.type !== 'directory' || !parents) await files.mkdir(inner, attributes);
  }
}

function assertSame(table: MountTable, from: MountedPlace, to: MountedPlace): void {
  if (from.mount === to.mount) return;
  const message = `is on the filesystem mounted at ${to.mount.point}, ${from.path} on the one at ${from.mount.point}: a name cannot be moved or linked between them`;
  throw problem(table, to.path, message, 'other-filesystem');
}

function assertNoMounts(table: MountTable, { path }: MountedPlace): void {
  const inside = [...table.mounts, ...table.absent];
  const mount = inside.find(({ point }) => point !== '/' && isInside(point, path));
  if (mount) throw problem(table, path, `the filesystem mounted at ${mount.point} holds it in place`, 'busy');
}
