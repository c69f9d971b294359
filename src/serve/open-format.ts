import { TsbuilderError } from '../errors.js';
import { isGzip } from '../gzip/gzip-header.js';
import { foreignFormat } from '../image/foreign-format.js';
import { isQcow2 } from '../image/qcow2-info.js';
import type { ByteSource } from '../io/byte-source.js';
import type { DiskSource } from '../io/disk-source.js';
import { formatSize } from '../io/format-size.js';
import type { Step } from '../progress.js';
import { openSegmentCache } from '../segment-cache/segment-cache.js';
import type { BlockMap } from '../xz/block-map.js';
import { blockVerifier, readVerifiedIndex } from '../xz/check-block-map.js';
import { peekXz } from '../xz/peek-xz.js';
import { type XzIndex, checkName, isXz, readXzIndex } from '../xz/xz-index.js';
import { openXzSegments } from '../xz/xz-segments.js';
import { isZstd } from '../zstd/frame-header.js';
import { openCachedDisk } from './cached-disk.js';
import { flatSegments } from './flat-segments.js';
import { orDispose } from './or-dispose.js';
import { openQcow2Disk } from './qcow2-disk.js';
import { rawDisk } from './raw-disk.js';
import type { ServedDiskOptions, ServedFormat } from './served-disk.js';

/** A disk, and what the checksums in its own file protect it from: a sentence. */
export interface OpenedFormat {
  readonly disk: DiskSource;
  readonly protection: string;
  /** The first bytes of the disk, for less than a read of it takes. Absent where a read takes no more. */
  readonly peek?: ((length: number) => Promise<Uint8Array>) | undefined;
  /** Where the blocks of an xz file are. */
  readonly index?: XzIndex | undefined;
}

interface Bytes {
  readonly source: ByteSource;
  /** Descriptor of the local file that `source` reads; undefined when it is far away. */
  readonly fd: number | undefined;
  readonly isHere: boolean;
}

type Opener = (bytes: Bytes, options: ServedDiskOptions) => Promise<OpenedFormat>;

/** The longest of the signatures. */
const HEAD = 512;

const NOTHING = 'nothing protects the data';

/** What protects the data in files of formats of which every one is alike in that. */
export const protections = {
  gzip: 'only the integrity check inside the gzip file (CRC32) protects the data',
  zstd: 'only the integrity checks inside the zstd file protect the data, where it has any',
} as const;

/** What opens a file of each format. The disk disposes the source; so does a failure. */
export const openersByFormat: Readonly<Record<ServedFormat, Opener>> = {
  raw: async (bytes, options) => ({ disk: await openFlat(bytes, options), protection: NOTHING }),
  async qcow2(bytes, options) {
    const file = await openFlat(bytes, options);
    const { progress, signal } = options;
    const warn = (line: string): void => progress.warn(line);
    const disk = await orDispose(file, () => openQcow2Disk(file, { warn, signal }));
    return { disk, protection: NOTHING };
  },
  async xz({ source }, options) {
    const index = await orDispose(source, () => readXzIndex(source, { signal: options.signal }));
    const disk = await openCachedDisk(openXzSegments(source, index), options);
    const { signal } = options;
    const peek = (length: number): Promise<Uint8Array> => peekXz(source, index, { length, signal });
    return { disk, protection: protectionOf(index), peek, index };
  },
  async gzip(bytes, options) {
    const content = await inOnePass(bytes, options, async (pass) => {
      const { openGzipSegments } = await import('../gzip/gzip-segments.js');
      pass.onPass();
      return openGzipSegments(bytes.source, pass);
    });
    return { disk: await openCachedDisk(content, options), protection: protections.gzip };
  },
  async zstd(bytes, options) {
    const content = await inOnePass(bytes, options, async (pass) => {
      const { openZstdSegments } = await import('../zstd/zstd-segments.js');
      return openZstdSegments(bytes.source, pass);
    });
    return { disk: await openCachedDisk(content, options), protection: protections.zstd };
  },
};

/** What a file is by its first bytes. A failure disposes it. @throws TSB_USAGE for formats that are not read; what reading throws */
export async function formatOf(source: ByteSource, signal: AbortSignal): Promise<ServedFormat> {
  return orDispose(source, async () => {
    const head = await source.read(0, Math.min(HEAD, source.size), signal);
    const foreign = foreignFormat(head);
    if (!foreign) return knownFormat(head);
    throw new TsbuilderError('TSB_USAGE', `${source.name}: is ${foreign.format}, which is not read`, {
      hint: `Make a disk of it first, with ${foreign.remedy}. With --input-format raw it is taken as it is.`,
    });
  });
}

function knownFormat(head: Uint8Array): ServedFormat {
  if (isXz(head)) return 'xz';
  if (isGzip(head)) return 'gzip';
  if (isZstd(head)) return 'zstd';
  return isQcow2(head) ? 'qcow2' : 'raw';
}

/** An xz file of which every byte is compared with its block map before it is used. */
export async function openMappedXz(
  source: ByteSource,
  map: BlockMap,
  options: ServedDiskOptions,
): Promise<OpenedFormat> {
  const index = await orDispose(source, () => readVerifiedIndex(source, map, options.signal));
  const content = openXzSegments(source, index, { verify: blockVerifier(source, map) });
  return {
    disk: await openCachedDisk(content, options),
    protection: 'every block is checked against a block map',
    index,
  };
}

/** A file that is not compressed: read in place, or when it is far away through a cache. */
async function openFlat({ source, fd }: Bytes, options: ServedDiskOptions): Promise<DiskSource> {
  if (fd !== undefined) return rawDisk(source, fd);
  const { cacheBytes, spill, jobs, counters, signal } = options;
  return openSegmentCache(flatSegments(source), { cacheBytes, spill, jobs, counters, signal });
}

/** How a format is opened of which all may have to be read. */
interface OnePass {
  /** To be called when it has to be. */
  readonly onPass: () => void;
  readonly onProgress: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/** From here on it is worth a warning when all of a file is fetched before it can be served. */
const MUCH_TO_FETCH = 16 * 1024 * 1024;

/** Opens a format that mostly has no index of its own, so that all of the file has to be read. */
async function inOnePass<T>(
  { source, isHere }: Bytes,
  { progress, signal }: ServedDiskOptions,
  open: (pass: OnePass) => Promise<T>,
): Promise<T> {
  let step: Step | undefined;
  const onPass = (): void => {
    if (!isHere && source.size >= MUCH_TO_FETCH)
      progress.warn(
        `${source.name}: it has no index, so all of it (${formatSize(source.size)}) is fetched once before it can be read at any place ` +
          '(a copy by tsbuilder cp, or an image by tsbuilder pack, spares that)',
      );
    step = progress.step(`Reading through ${source.name}`, source.size);
  };
  try {
    const onProgress = (bytes: number): void => step?.advance(bytes);
    return await orDispose(source, () => open({ onPass, onProgress, signal }));
  } finally {
    step?.[Symbol.dispose]();
  }
}

function protectionOf(index: XzIndex): string {
  const checks = new Set(index.streams.filter(({ blockCount }) => blockCount > 0).map(({ check }) => check));
  const names = [...checks].filter((check) => check !== 0).map(checkName);
  if (names.length === 0) return `${NOTHING}: the xz file has no integrity checks`;
  const rest = checks.has(0) ? ', and parts of it have none' : '';
  return `only the integrity checks inside the xz file (${names.join(', ')}) protect the data${rest}`;
}
