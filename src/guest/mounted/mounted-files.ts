import type { FileStat, GuestEntry, GuestFiles } from '../guest.js';
import { isMissing } from '../read-files.js';
import type { MountTable } from './mount.js';
import { type MountedPlace, findMounted, globalStat, resolveMounted } from './resolve-mounted.js';

/** The files of a guest that is made of several filesystems, for reading. */
export function mountedFiles(table: MountTable): GuestFiles {
  return table.mounts.length + table.absent.length === 1 ? table.root.files : filesInMounts(table);
}

/** As {@link mountedFiles}, but what cannot be reached looks as if it were not mounted. For finding out what a guest is. */
export function reachableFiles(table: MountTable): GuestFiles {
  const mounts = table.mounts.filter(({ files }) => files !== undefined);
  return mountedFiles({ ...table, mounts, absent: [], folders: undefined });
}

function filesInMounts(table: MountTable): GuestFiles {
  const find = (path: string): ReturnType<typeof findMounted> => findMounted(table, path, 'links');
  const findFolder = async (path: string): ReturnType<typeof findMounted> => {
    const place = await find(path);
    // Its own name is in another filesystem, what is in it is not.
    const absent = table.absent.find(({ point }) => point === place.path);
    if (absent) table.enterAbsent(absent, path);
    return place;
  };
  return {
    name: table.root.files.name,
    async exists(path) {
      try {
        return (await resolveMounted(table, path, 'links')).stat !== undefined;
      } catch (error) {
        if (isMissing(error)) return false;
        throw error;
      }
    },
    stat: async (path) => (await find(path)).stat,
    lstat: async (path) => (await findMounted(table, path, 'parents')).stat,
    async readFile(path, options) {
      const { files, inner } = await find(path);
      return files.readFile(inner, options);
    },
    async readHead(path, length) {
      const { files, inner } = await find(path);
      return files.readHead(inner, length);
    },
    async readRange(path, offset, length) {
      const { files, inner } = await find(path);
      return files.readRange(inner, offset, length);
    },
    async readLink(path) {
      const { files, inner } = await findMounted(table, path, 'parents');
      return files.readLink(inner);
    },
    realPath: async (path) => (await resolveMounted(table, path, 'links')).path,
    async list(path) {
      const { files, inner } = await findFolder(path);
      return files.list(inner);
    },
    async entries(path, options) {
      const folder = await findFolder(path);
      const entries = await folder.files.entries(folder.inner, options);
      return Promise.all(entries.map((entry) => shownEntry(table, folder, entry)));
    },
    async getXattrs(path, options) {
      const { files, inner } = await findMounted(table, path, options?.follow ?? 'links');
      return files.getXattrs(inner, options);
    },
  };
}

/** An entry of a listing: a filesystem that is mounted there hides the folder of that name. */
async function shownEntry(table: MountTable, folder: MountedPlace, entry: GuestEntry): Promise<GuestEntry> {
  if (!entry.stat) return entry;
  const path = `${folder.path === '/' ? '' : folder.path}/${entry.name ?? ''}`;
  const mounted = table.mounts.find(({ point, files }) => point === path && files !== undefined);
  if (!mounted?.files) return { ...entry, stat: globalStat(table, folder.mount, entry.stat) };
  const stat: FileStat = await mounted.files.lstat('/');
  return { ...entry, stat: globalStat(table, mounted, stat), rawTarget: undefined };
}
