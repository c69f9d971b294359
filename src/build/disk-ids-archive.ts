import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { SearchedFile } from '../customize/replace-ids.js';
import { exec } from '../io/exec.js';
import { openScratchFolder } from '../io/scratch-folder.js';
import { TsbuilderError } from '../errors.js';

/** How a part of a file is packed: `cpio` is not. */
export type Packing = 'cpio' | 'gzip' | 'xz' | 'lzma' | 'zstd' | 'lz4' | 'bzip2' | 'lzop';

const MAGIC: readonly (readonly [Packing, string])[] = [
  ['cpio', '303730373031'],
  ['cpio', '303730373032'],
  ['gzip', '1f8b08'],
  ['xz', 'fd377a585a00'],
  ['zstd', '28b52ffd'],
  ['lz4', '02214c18'],
  ['lz4', '04224d18'],
  ['bzip2', '425a68'],
  ['lzop', '894c5a4f000d0a'],
  ['lzma', '5d0000'],
];

/** The programs that unpack, and the Debian packages that have them. */
const PROGRAMS: Readonly<Record<Exclude<Packing, 'cpio'>, readonly [string, readonly string[]]>> = {
  gzip: ['gzip', ['gzip', '-dc']],
  xz: ['xz-utils', ['xz', '-dc', '--format=xz']],
  lzma: ['xz-utils', ['xz', '-dc', '--format=lzma']],
  zstd: ['zstd', ['zstd', '-dcq']],
  lz4: ['lz4', ['lz4', '-dcq']],
  bzip2: ['bzip2', ['bzip2', '-dc']],
  lzop: ['lzop', ['lzop', '-dc']],
};

/** What the first bytes of a file or of a part of it say. */
export function archiveOf(head: Uint8Array): Packing | undefined {
  const hex = Buffer.from(head.subarray(0, 8)).toString('hex');
  return MAGIC.find(([, magic]) => hex.startsWith(magic))?.[0];
}

/** The content of an initramfs or another packed file. */
export interface Unpacked extends AsyncDisposable {
  /** In their order: uncompressed archives, then what was compressed. */
  readonly parts: readonly Omit<SearchedFile, 'label'>[];
}

/** No initramfs is larger: what grows beyond it was made to fill the disk. */
const MAX_UNPACKED = 2 * 1024 ** 3;
const SCAN = 64 * 1024;

/**
 * Unpacks an initramfs: cpio archives one behind the other, with zeros between them, and at last a compressed one (Linux,
 * Documentation/driver-api/early-userspace/buffer-format.rst). The unpacked bytes are in a temporary folder until it is disposed.
 *
 * @throws TSB_TOOL_FAILED for what cannot be unpacked, TSB_TOOL_MISSING with the package of the program that does it
 */
export async function openUnpacked(file: SearchedFile, signal: AbortSignal): Promise<Unpacked> {
  const start = await compressedStart(file);
  const plain = start === undefined ? file.size : start.at;
  const front = { size: plain, read: (offset: number, length: number) => file.read(offset, length) };
  if (!start) return { parts: [front], [Symbol.asyncDispose]: () => Promise.resolve() };
  const scratch = await openScratchFolder('initramfs');
  const folder = scratch.path;
  try {
    await copyOut(file, start.at, join(folder, 'packed'));
    await unpack(folder, start.packing, signal);
    const handle = await open(join(folder, 'unpacked'), 'r');
    const { size } = await handle.stat();
    const read = async (offset: number, length: number): Promise<Buffer> => {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset);
      return buffer.subarray(0, bytesRead);
    };
    return {
      parts: [front, { size, read }],
      async [Symbol.asyncDispose]() {
        await handle.close();
        await scratch[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await scratch[Symbol.asyncDispose]();
    throw error;
  }
}

async function unpack(folder: string, packing: Exclude<Packing, 'cpio'>, signal: AbortSignal): Promise<void> {
  const [debianPackage, command] = PROGRAMS[packing];
  const script = 'command -v "$1" >/dev/null || exit 127; ulimit -f "$0"; exec "$@" <packed >unpacked';
  const args = ['-c', script, String(MAX_UNPACKED / 512), ...command];
  const { status, stderr } = await exec('sh', args, {
    cwd: folder,
    signal,
    okStatus: Array.from({ length: 256 }, (_, value) => value),
  });
  const program = command[0] ?? packing;
  if (status === 127) {
    throw new TsbuilderError('TSB_TOOL_MISSING', `${program}: program not found`, {
      hint: `Install it: apt-get install ${debianPackage}`,
    });
  }
  if (status !== 0) {
    throw new TsbuilderError(
      'TSB_TOOL_FAILED',
      `${program} cannot unpack it: ${stderr.trim().split('\n').at(-1) ?? ''} (status ${status})`,
    );
  }
}

async function copyOut(file: SearchedFile, from: number, path: string): Promise<void> {
  const target = await open(path, 'wx', 0o600);
  try {
    const step = 4 * 1024 * 1024;
    for (let at = from; at < file.size; at += step)
      await target.write(await file.read(at, Math.min(step, file.size - at)));
  } finally {
    await target.close();
  }
}

interface Start {
  readonly at: number;
  readonly packing: Exclude<Packing, 'cpio'>;
}

/** Where the compressed part begins; undefined when all is uncompressed. */
async function compressedStart(file: SearchedFile): Promise<Start | undefined> {
  let at = 0;
  while ((at = await skipZeros(file, at)) < file.size) {
    const packing = archiveOf(await file.read(at, Math.min(8, file.size - at)));
    if (packing === undefined) {
      throw new TsbuilderError(
        'TSB_TOOL_FAILED',
        `what begins at its byte ${at} is neither cpio nor compressed`,
      );
    }
    if (packing !== 'cpio') return { at, packing };
    at = await archiveEnd(file, at);
  }
  return undefined;
}

async function skipZeros(file: SearchedFile, from: number): Promise<number> {
  for (let at = from; at < file.size; at += SCAN) {
    const data = await file.read(at, Math.min(SCAN, file.size - at));
    const found = data.findIndex((byte) => byte !== 0);
    if (found >= 0) return at + found;
  }
  return file.size;
}

const HEADER = 110;
const pad4 = (value: number): number => (value + 3) & ~3;

/** The byte behind the trailer of the cpio archive (newc) at `from`. Fields are eight hex digits each. */
async function archiveEnd(file: SearchedFile, from: number): Promise<number> {
  const damaged = (at: number): TsbuilderError =>
    new TsbuilderError('TSB_TOOL_FAILED', `its cpio archive is damaged at byte ${at}`);
  for (let at = from; at + HEADER <= file.size;) {
    const header = (await file.read(at, HEADER)).toString('latin1');
    if (!/^07070[12][0-9a-f]{104}$/i.test(header)) throw damaged(at);
    const size = parseInt(header.slice(54, 62), 16);
    const nameSize = parseInt(header.slice(94, 102), 16);
    const data = from + pad4(at - from + HEADER + nameSize);
    if (data + size > file.size || nameSize > 4096) throw damaged(at);
    const name = (await file.read(at + HEADER, nameSize)).toString('latin1');
    if (name === 'TRAILER!!!\0') return data;
    at = from + pad4(data - from + size);
  }
  throw damaged(from);
}
