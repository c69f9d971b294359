import { getSystemErrorName } from 'node:util';
import { type NativeFunction, lastErrno, loadNativeLibrary } from './native.js';

// What Node's fs lacks, taken from the C library. Constants are those of 64-bit Linux (include/uapi/linux/{fs,falloc}.h).
// Elsewhere, or without koffi, every function here answers undefined or false and the caller takes its slower way.

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const AT_FDCWD = -100;
const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;
const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
const BLKGETSIZE64 = 0x80081272;
const BLKDISCARD = 0x1277;
const BLKZEROOUT = 0x127f;
const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;

/** Architectures that are 64-bit and number their ioctls the generic way. */
const ARCHITECTURES = ['x64', 'arm64', 'riscv64', 'loong64', 's390x'];

interface Libc {
  readonly lseek: NativeFunction;
  readonly renameat2: NativeFunction | undefined;
  readonly fallocate: NativeFunction;
  readonly ioctl: NativeFunction;
  readonly fcntl: NativeFunction;
}

let cached: { libc: Libc | undefined } | undefined;

/** Whether the C library can be called: koffi is installed and this is 64-bit Linux. */
export function hasLibc(): boolean {
  return getLibc() !== undefined;
}

/**
 * The first byte at or after `offset` that is data in the open file `fd`.
 *
 * @returns Infinity when only a hole follows, undefined when the system or the filesystem cannot tell
 */
export function seekData(fd: number, offset: number): number | undefined {
  return seek(fd, offset, SEEK_DATA);
}

/** The first byte at or after `offset` that is in a hole (the end of the file counts as one); otherwise as `seekData`. */
export function seekHole(fd: number, offset: number): number | undefined {
  return seek(fd, offset, SEEK_HOLE);
}

/**
 * Swaps two names in one atomic step: renameat2(2) with RENAME_EXCHANGE. Unlike a rename over an existing name it does
 * not make ext4 write the file out.
 *
 * @returns false when the system or the filesystem cannot
 * @throws a system error (ENOENT, EACCES, ...) when it can and the exchange failed
 */
export function exchangeNames(one: string, other: string): boolean {
  return rename(one, other, RENAME_EXCHANGE);
}

/** Renames unless `to` exists (EEXIST is thrown): renameat2(2) with RENAME_NOREPLACE. False and throws as `exchangeNames`. */
export function renameNoReplace(from: string, to: string): boolean {
  return rename(from, to, RENAME_NOREPLACE);
}

/**
 * Gives the range back to the filesystem, so that it reads as zeros; on a block device a discard, done only where the
 * device guarantees zeros afterwards.
 *
 * @returns false when it was not done, for whatever reason: write zeros instead
 */
export async function punchHole(fd: number, offset: number, length: number): Promise<boolean> {
  const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  return (await getLibc()?.fallocate.inPool([fd, mode, offset, length])) === 0;
}

/** Size in bytes of the open block device, or undefined when the system cannot tell. */
export function blockDeviceBytes(fd: number): number | undefined {
  const value = Buffer.alloc(8);
  if (getLibc()?.ioctl(fd, BLKGETSIZE64, value) !== 0) return undefined;
  return Number(value.readBigUInt64LE());
}

/** Writes zeros to sectors of a block device in the kernel. `offset` and `length` are whole sectors. False as `punchHole`. */
export function zeroBlockDevice(fd: number, offset: number, length: number): Promise<boolean> {
  return controlRange(fd, BLKZEROOUT, { offset, length });
}

/**
 * Tells a block device that sectors are not needed; what is read there afterwards may be anything. Returns false where the device cannot be
 * told, and as `zeroBlockDevice`.
 */
export function discardBlockDevice(fd: number, offset: number, length: number): Promise<boolean> {
  return controlRange(fd, BLKDISCARD, { offset, length });
}

async function controlRange(
  fd: number,
  request: number,
  { offset, length }: { offset: number; length: number },
): Promise<boolean> {
  const libc = getLibc();
  if (!libc) return false;
  const range = Buffer.alloc(16);
  range.writeBigUInt64LE(BigInt(offset), 0);
  range.writeBigUInt64LE(BigInt(length), 8);
  return (await libc.ioctl.inPool([fd, request, range])) === 0;
}

/** Some bytes of a file; a length of 0 reaches to the end of all files. */
export interface LockRange {
  readonly offset: number;
  readonly length: number;
}

/**
 * Whether someone else holds a lock of any kind (fcntl(2), F_OFD_GETLK) on a byte of `range` of the open file `fd`. Default: on any byte.
 *
 * @returns undefined when the system cannot tell
 */
export function isLockedByOthers(
  fd: number,
  range: LockRange = { offset: 0, length: 0 },
): boolean | undefined {
  const lock = flock({ type: F_WRLCK, ...range });
  if (getLibc()?.fcntl(fd, F_OFD_GETLK, lock) !== 0) return undefined;
  return lock.readInt16LE(0) !== F_UNLCK;
}

/**
 * Takes a shared lock on a range of the open file `fd`, until that is closed: it belongs to the open file, not to the process.
 *
 * @returns false when someone else has an exclusive one there, or the system cannot
 */
export function lockShared(fd: number, range: LockRange): boolean {
  return getLibc()?.fcntl(fd, F_OFD_SETLK, flock({ type: F_RDLCK, ...range })) === 0;
}

/** `struct flock` of 64-bit Linux, from the beginning of the file. */
function flock({ type, offset, length }: LockRange & { readonly type: number }): Buffer {
  const lock = Buffer.alloc(32);
  lock.writeInt16LE(type, 0);
  lock.writeBigInt64LE(BigInt(offset), 8);
  lock.writeBigInt64LE(BigInt(length), 16);
  return lock;
}

function seek(fd: number, offset: number, whence: number): number | undefined {
  const result = getLibc()?.lseek(fd, offset, whence);
  if (result === undefined) return undefined;
  if (Number(result) >= 0) return Number(result);
  return errnoName() === 'ENXIO' ? Infinity : undefined;
}

function rename(from: string, to: string, flags: number): boolean {
  const call = getLibc()?.renameat2;
  if (!call) return false;
  if (call(AT_FDCWD, from, AT_FDCWD, to, flags) === 0) return true;
  const code = errnoName();
  // EINVAL is how a filesystem says that it does not know the flag, ENOSYS how a kernel says so of the call.
  if (['ENOSYS', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP'].includes(code)) return false;
  throw Object.assign(new Error(`${code}: renameat2 '${from}' -> '${to}'`), { code });
}

function errnoName(): string {
  const errno = lastErrno();
  return errno === 0 ? 'UNKNOWN' : getSystemErrorName(-errno);
}

function getLibc(): Libc | undefined {
  cached ??= { libc: loadLibc() };
  return cached.libc;
}

function loadLibc(): Libc | undefined {
  if (process.platform !== 'linux' || !ARCHITECTURES.includes(process.arch)) return undefined;
  const library = loadNativeLibrary(['libc.so.6', 'libc.so']);
  if (!library) return undefined;
  return {
    lseek: library.bind('int64_t lseek(int fd, int64_t offset, int whence)'),
    renameat2: bindOptional(() =>
      library.bind(
        'int renameat2(int fd, const char *from, int otherFd, const char *to, unsigned int flags)',
      ),
    ),
    fallocate: library.bind('int fallocate(int fd, int mode, int64_t offset, int64_t length)'),
    ioctl: library.bind('int ioctl(int fd, unsigned long request, uint8_t *argument)'),
    fcntl: library.bind('int fcntl(int fd, int command, uint8_t *argument)'),
  };
}

/** musl has renameat2 only since 1.2.6; the symbol may be missing. */
function bindOptional(bind: () => NativeFunction): NativeFunction | undefined {
  try {
    return bind();
  } catch {
    return undefined;
  }
}
