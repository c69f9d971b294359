import { type DiskContent, openDiskContent } from '../build/disk-content.js';
import { isQcow2 } from '../image/qcow2-info.js';
import type { ByteSource } from '../io/byte-source.js';
import { openFileSource } from '../io/file-source.js';
import { type AnySourceOptions, openAnySource } from '../io/open-any-source.js';
import type { SourceLocation } from '../io/source-location.js';
import { isXz } from '../xz/xz-index.js';
import { orDispose } from './or-dispose.js';
import type { ServedFormat } from './served-disk.js';

/** An image that is not a template: its file, and what it is if that needs no cache to be read. */
export interface PlainImage {
  /** Belongs to the caller. */
  readonly source: ByteSource;
  /** Descriptor of the local file that `source` reads; undefined when it is far away. */
  readonly fd?: number | undefined;
  /** Whether its bytes are on this machine. */
  readonly isHere: boolean;
  /**
   * The raw disk in an xz file: to be decoded once from end to end, or read in a few places, of whose blocks no more is fetched and
   * decoded than is needed. Belongs to the caller, and is to be disposed before `source`.
   */
  readonly xz?: DiskContent | undefined;
}

/** How an image file is opened. */
export interface PlainImageOptions extends AnySourceOptions {
  /** What the file is taken to be. Default: what it looks like. */
  readonly format?: ServedFormat | undefined;
}

const HEAD = 6;

/**
 * Opens an image file by its path or URL.
 *
 * @throws as `openFileSource` and `openAnySource`; TSB_XZ_CORRUPT, TSB_XZ_LIMIT, TSB_XZ_UNSUPPORTED
 */
export async function openPlainImage(
  location: SourceLocation,
  options: PlainImageOptions,
): Promise<PlainImage> {
  if (location.kind === 'http') {
    const source = await openAnySource(location.url, options);
    return { source, isHere: source.isHere, xz: await orDispose(source, () => openRawXz(source, options)) };
  }
  const source = await openFileSource(location.path);
  return {
    source,
    fd: source.fd,
    isHere: true,
    xz: await orDispose(source, () => openRawXz(source, options)),
  };
}

/** Undefined when it is no xz file, one with a qcow2 image inside, or to be taken for something else. */
async function openRawXz(
  source: ByteSource,
  { format, signal }: PlainImageOptions,
): Promise<DiskContent | undefined> {
  if (format !== undefined && format !== 'xz') return undefined;
  // What is no xz file although it has to be is refused by whoever opens it as one.
  if (!isXz(await source.read(0, Math.min(HEAD, source.size), signal))) return undefined;
  const content = await openDiskContent(source, { signal });
  if (format === 'xz') return content;
  const isInner = await orDispose(content, () => beginsWithQcow2(content, signal));
  if (!isInner) return content;
  await content[Symbol.asyncDispose]();
  return undefined;
}

async function beginsWithQcow2(content: DiskContent, signal: AbortSignal | undefined): Promise<boolean> {
  return content.size >= 4 && isQcow2(await content.disk.read(0, 4, signal));
}
