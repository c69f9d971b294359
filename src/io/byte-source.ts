/** Immutable random-access bytes: a local file, a file still being downloaded, a URL, decoded xz content. */
export interface ByteSource extends AsyncDisposable {
  /** Path or redacted URL, for messages. */
  readonly name: string;
  /** Length in bytes, fixed at open. */
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`, or it throws. Safe to call concurrently. The result belongs to the caller.
   * A range that is not inside `0..size` is a programming error and throws RangeError.
   */
  read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>;
}

/**
 * Throws RangeError unless `offset..offset+length` are safe integers inside `source`: the shared precondition of
 * every ByteSource's `read`.
 */
export function assertRange(source: { name: string; size: number }, offset: number, length: number): void {
  const inside = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!inside || offset + length > source.size) {
    throw new RangeError(
      `${source.name}: read of ${length} bytes at ${offset} is outside its ${source.size} bytes`,
    );
  }
}

/** A ByteSource over bytes that are already in memory. */
export function bytesSource(name: string, data: Uint8Array): ByteSource {
  const source: ByteSource = {
    name,
    size: data.length,
    read(offset, length, signal) {
      signal?.throwIfAborted();
      assertRange(source, offset, length);
      // A Buffer's own `slice` would not copy.
      return Promise.resolve(Uint8Array.prototype.slice.call(data, offset, offset + length));
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return source;
}

/** A window of `length` bytes from `offset` of another source. Disposing the window leaves the parent open. */
export function sliceSource(parent: ByteSource, offset: number, length: number): ByteSource {
  assertRange(parent, offset, length);
  const source: ByteSource = {
    name: parent.name,
    size: length,
    read(at, count, signal) {
      assertRange(source, at, count);
      return parent.read(offset + at, count, signal);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return source;
}
