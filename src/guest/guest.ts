import type { GuestOs } from './inspect.js';

/** What is known of a file without reading it. */
export interface FileStat {
  readonly type: FileType;
  /** Permission bits with set-uid, set-gid and sticky: 0..0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes. */
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  /** How many names it has. */
  readonly links: number;
  /** What tells it from the other files of its filesystem: its inode number, or for one that is not on the disk yet a larger number. */
  readonly id: number;
  /** Which device a character or block special file stands for. */
  readonly device?: DeviceNumber | undefined;
}

/** A device as the kernel numbers it. */
export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

/** One name in a folder. */
export interface GuestEntry {
  /** The name as text; undefined when it is no UTF-8: no path leads there. */
  readonly name: string | undefined;
  /** The bytes of the name, each as one character of 0..255. */
  readonly rawName: string;
  /** What it is, links not followed; when asked for. */
  readonly stat?: FileStat | undefined;
  /** Of a symbolic link: where it leads, its bytes as in `rawName`; when asked for. */
  readonly rawTarget?: string | undefined;
}

export type FileType = 'file' | 'directory' | 'symlink' | 'character' | 'block' | 'fifo' | 'socket';

/** What a new file or folder is to be like. */
export interface FileAttributes {
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** Seconds since 1970. Default: the guest's clock. */
  readonly mtime?: number | undefined;
  /** Extended attributes by full name (`security.selinux`), in the form of `setxattr(2)`. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array> | undefined;
}

/** Text, bytes, or a file of the host whose content is copied when the changes are committed. */
export type FileContent = string | Uint8Array | { readonly hostFile: string };

/** A file that is neither content, folder nor link. */
export type SpecialFile =
  { readonly type: 'fifo' } | { readonly type: 'character' | 'block'; readonly device: DeviceNumber };

/**
 * The reading half of a guest: the files of one operating system. Paths are absolute, `/`-separated and UTF-8.
 * Symbolic links are followed inside the guest's own root only, whatever they say; more than 40 of them in one path is
 * an error. A path that does not exist is TSB_GUEST with `details.reason` `not-found`; damage is TSB_FILESYSTEM.
 */
export interface GuestFiles {
  /** The disk, for messages. */
  readonly name: string;
  /** Whether `path` leads to something, links followed. */
  exists(path: string): Promise<boolean>;
  /** What `path` leads to, links followed. */
  stat(path: string): Promise<FileStat>;
  /** What `path` itself is, even a link. */
  lstat(path: string): Promise<FileStat>;
  /** The content of a regular file. TSB_GUEST when it has more than `maxBytes` (default 64 MiB). */
  readFile(path: string, options?: { maxBytes?: number | undefined }): Promise<Buffer>;
  /** The first bytes of a regular file, at most `length`. */
  readHead(path: string, length: number): Promise<Buffer>;
  /** `length` bytes of a regular file from `offset`, fewer where it ends. */
  readRange(path: string, offset: number, length: number): Promise<Buffer>;
  /** The target of a symbolic link, as written in it. */
  readLink(path: string): Promise<string>;
  /** The path without links that `path` leads to. The last component need not exist. */
  realPath(path: string): Promise<string>;
  /** The names in a folder, sorted, without `.` and `..`. Names that are no UTF-8 are left out. */
  list(path: string): Promise<string[]>;
  /** Everything in a folder but `.` and `..`, sorted by bytes; with `details` also what it is, which takes more reads. */
  entries(path: string, options?: { details?: boolean | undefined }): Promise<GuestEntry[]>;
  /** Extended attributes by full name, of what `path` leads to, or with `follow: 'parents'` of what it is itself, even a link. */
  getXattrs(path: string, options?: { follow?: 'links' | 'parents' }): Promise<Map<string, Buffer>>;
}

/**
 * The files of a guest, with changes. Changes are kept in memory, seen by every later read, and reach the disk all
 * together at `commit()`; disposing without it forgets them.
 */
export interface Guest extends GuestFiles, AsyncDisposable {
  readonly os: GuestOs;
  /**
   * Makes `path` a regular file with this content. Of an existing file the content is replaced, under all of its names (hard links), and what
   * `attributes` leaves out (mode, owner, extended attributes) is kept. A new file is 0644 root:root.
   * A link is followed, also to a target that does not exist yet. TSB_GUEST when it is a folder or its parent is missing.
   * A stream is read to its end by this call, and kept in a temporary file.
   */
  writeFile(
    path: string,
    content: FileContent | AsyncIterable<Uint8Array>,
    attributes?: FileAttributes,
  ): Promise<void>;
  /**
   * Makes a folder (0755 root:root). With `parents`, missing parents too, and an existing folder is fine; attributes go to
   * the folders that are made.
   */
  mkdir(path: string, options?: FileAttributes & { parents?: boolean | undefined }): Promise<void>;
  /**
   * Makes `path` a symbolic link that says `target`; an existing file or link there is replaced, a folder is an error.
   * The mode of a link means nothing.
   */
  symlink(target: string, path: string, attributes?: Omit<FileAttributes, 'mode'>): Promise<void>;
  /** Makes `path` a device or fifo (0644 root:root); an existing file or link there is replaced, a folder is an error. */
  makeNode(path: string, node: SpecialFile, attributes?: FileAttributes): Promise<void>;
  /** Makes `path` another name of the file `existing` (links not followed). */
  hardLink(existing: string, path: string): Promise<void>;
  /** Gives a file, link or folder another name, replacing a file or link of that name. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file, a link (not its target), an empty folder, or with `recursive` a folder with all in it. */
  remove(path: string, options?: { recursive?: boolean | undefined }): Promise<void>;
  /**
   * Removes a regular file and makes sure at `commit()` that what it held on the disk until now is nowhere in the image any
   * more. TSB_GUEST, at the latest at `commit()`, when it has other names, because their content would have to go too.
   */
  scrub(path: string): Promise<void>;
  /** Sets the permission bits; links followed. */
  chmod(path: string, mode: number): Promise<void>;
  /** Sets the owner; links followed. */
  chown(path: string, owner: { uid: number; gid: number }): Promise<void>;
  /** Sets the time of last modification, seconds since 1970; links followed. */
  setTime(path: string, mtime: number): Promise<void>;
  /** Sets an extended attribute; links followed. */
  setXattr(path: string, name: string, value: Uint8Array): Promise<void>;
  /** Removes an extended attribute if it is there; links followed. */
  removeXattr(path: string, name: string): Promise<void>;
  /**
   * Writes all changes to the disk: every one, or (TSB_GUEST, TSB_NO_SPACE) none. Afterwards the filesystem has been
   * checked and found clean, and every changed file has been read back. The guest can be used on.
   */
  commit(): Promise<void>;
}
