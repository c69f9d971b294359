import { type NativeFunction, loadNativeLibrary } from './native.js';

/** The access control list of a file (acl(5)), whose mask is what its mode shows as the group's permissions. */
const ACL = 'system.posix_acl_access';

/** What says who may use a file. Others (of IMA, EVM, capabilities) are about its content. */
const COPIED = [ACL, 'security.selinux'];

/** As large as the kernel lets values and lists of names be (XATTR_SIZE_MAX, XATTR_LIST_MAX). */
const LARGEST = 65536;

interface XattrCalls {
  readonly list: NativeFunction;
  readonly get: NativeFunction;
  readonly set: NativeFunction;
  readonly remove: NativeFunction;
}

let cached: { calls: XattrCalls | undefined } | undefined;

/**
 * Gives the file `to` the user's extended attributes, the SELinux label and the access control list of `from`, as far as this user may and the
 * filesystem has such. Does nothing where the C library cannot be called.
 */
export function copyXattrs(from: string, to: string): void {
  const calls = xattrCalls();
  if (!calls) return;
  for (const name of namesOf(calls, from)) {
    if (!COPIED.includes(name) && !name.startsWith('user.')) continue;
    const value = Buffer.alloc(LARGEST);
    const length = Number(calls.get(from, name, value, value.length));
    if (length >= 0) calls.set(to, name, value, length, 0);
  }
}

/** Takes an access control list away, such as one that a new file has from its folder. */
export function removeAcl(path: string): void {
  xattrCalls()?.remove(path, ACL);
}

function namesOf({ list }: XattrCalls, path: string): string[] {
  const names = Buffer.alloc(LARGEST);
  const length = Number(list(path, names, names.length));
  return length <= 0 ? [] : names.toString('utf8', 0, length - 1).split('\0');
}

function xattrCalls(): XattrCalls | undefined {
  cached ??= { calls: loadCalls() };
  return cached.calls;
}

function loadCalls(): XattrCalls | undefined {
  if (process.platform !== 'linux') return undefined;
  const library = loadNativeLibrary(['libc.so.6', 'libc.so']);
  if (!library) return undefined;
  return {
    list: library.bind('intptr_t listxattr(const char *path, uint8_t *list, size_t size)'),
    get: library.bind('intptr_t getxattr(const char *path, const char *name, uint8_t *value, size_t size)'),
    set: library.bind(
      'int setxattr(const char *path, const char *name, uint8_t *value, size_t size, int flags)',
    ),
    remove: library.bind('int removexattr(const char *path, const char *name)'),
  };
}
