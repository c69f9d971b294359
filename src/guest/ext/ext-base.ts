import { TsbuilderError } from '../../errors.js';
import type { BaseFile, BaseFilesystem } from '../tree.js';
import { readContent } from './content.js';
import { readDirectory } from './directory.js';
import { INODE_FLAG, ROOT_INO, readInode } from './inode.js';
import { type ExtVolume, INCOMPAT } from './volume.js';
import { readXattrs } from './xattr.js';

const MAX_TARGET = 4095;

/** An ext filesystem as the unchanged ground of a tree. */
export function extBase(volume: ExtVolume): BaseFilesystem {
  const inode = (id: number): ReturnType<typeof readInode> => readInode(volume, id);
  return {
    name: volume.source.name,
    rootId: ROOT_INO,
    async file(id) {
      const { type, mode, uid, gid, size, mtime, links, attributeBlock, device, flags } = await inode(id);
      const outerAttributes = attributeBlock !== 0 || (volume.super.incompat & INCOMPAT.attributeInode) !== 0;
      return {
        id,
        type,
        mode,
        uid,
        gid,
        size,
        mtime,
        links,
        outerAttributes,
        device,
        protection: protectionOf(flags),
      };
    },
    entries: async (id) => readDirectory(volume, await inode(id)),
    content: async (id, range) => readContent(volume, await inode(id), range),
    async target(id) {
      const link = await inode(id);
      if (link.size > MAX_TARGET) {
        throw new TsbuilderError(
          'TSB_FILESYSTEM',
          `${volume.source.name}: symbolic link in inode ${id} has ${link.size} bytes`,
        );
      }
      return (await readContent(volume, link, { offset: 0, length: link.size })).toString('latin1');
    },
    xattrs: async (id) => readXattrs(volume, await inode(id)),
  };
}

function protectionOf(flags: number): BaseFile['protection'] {
  if (flags & INODE_FLAG.immutable) return 'immutable';
  return flags & INODE_FLAG.appendOnly ? 'append-only' : undefined;
}
