import { open } from 'node:fs/promises';
import { TsbuilderError } from '../errors.js';
import type { DeviceNumber, FileContent } from './guest.js';
import { contentSize } from './read-files.js';

const BLOCK = 512;
const PIECE = 1024 * 1024;

/** The type flags of POSIX.1-2017 pax, "ustar Interchange Format". */
const FLAGS = {
  file: '0',
  hardLink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

/** One entry of an archive. Names are byte strings, relative. */
export interface TarEntry {
  readonly type: keyof typeof FLAGS;
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  /** Of links: a symbolic one's target, or the path of an entry before. */
  readonly target?: string | undefined;
  readonly device?: DeviceNumber | undefined;
  readonly content?: FileContent | undefined;
  readonly xattrs?: ReadonlyMap<string, Uint8Array> | undefined;
}

/** The bytes of a pax archive (POSIX.1-2017 pax, with GNU tar's records for extended attributes). */
export async function* tarArchive(entries: Iterable<TarEntry>): AsyncGenerator<Buffer> {
  for (const entry of entries) {
    const size = entry.content === undefined ? 0 : await contentSize(entry.content);
    const records = paxRecords(entry, size);
    yield header({ ...entry, path: 'pax', target: undefined, device: undefined }, records.length, 'x');
    yield padded(records);
    yield header(entry, size, FLAGS[entry.type]);
    if (entry.content !== undefined) yield* contentBytes(entry.content, { size, path: entry.path });
  }
  yield Buffer.alloc(2 * BLOCK);
}

/** Everything that may not fit into the fixed fields is a record, which readers prefer. */
function paxRecords(entry: TarEntry, size: number): Buffer {
  const records: [string, Uint8Array | string][] = [
    ['path', Buffer.from(entry.path, 'latin1')],
    ['uid', String(entry.uid)],
    ['gid', String(entry.gid)],
    ['mtime', String(entry.mtime)],
    ['size', String(size)],
  ];
  if (entry.target !== undefined) records.push(['linkpath', Buffer.from(entry.target, 'latin1')]);
  for (const [name, value] of entry.xattrs ?? []) records.push([`SCHILY.xattr.${name}`, value]);
  return Buffer.concat(records.map(([name, value]) => paxRecord(name, Buffer.from(value as Uint8Array))));
}

/** A record begins with its length, in which the digits of the length count. */
function paxRecord(name: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${name}=`), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function header(entry: TarEntry, size: number, flag: string): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, offset: number, length: number): void => {
    const text = Math.max(0, Math.trunc(value))
      .toString(8)
      .padStart(length - 1, '0');
    block.write(text.length < length ? text : '0'.repeat(length - 1), offset, 'latin1');
  };
  block.write(entry.path.slice(0, 100), 0, 'latin1');
  octal(entry.mode, 100, 8);
  octal(entry.uid, 108, 8);
  octal(entry.gid, 116, 8);
  octal(size, 124, 12);
  octal(entry.mtime, 136, 12);
  block.write(' '.repeat(8), 148, 'latin1');
  block.write(flag, 156, 'latin1');
  block.write((entry.target ?? '').slice(0, 100), 157, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  octal(entry.device?.major ?? 0, 329, 8);
  octal(entry.device?.minor ?? 0, 337, 8);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

async function* contentBytes(
  content: FileContent,
  { size, path }: { size: number; path: string },
): AsyncGenerator<Buffer> {
  if (typeof content === 'string' || content instanceof Uint8Array) {
    yield padded(Buffer.from(content as Uint8Array));
    return;
  }
  await using file = await open(content.hostFile, 'r');
  for (let offset = 0; offset < size;) {
    const wanted = Math.min(PIECE, size - offset);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(wanted), 0, wanted, offset);
    if (bytesRead === 0)
      throw new TsbuilderError('TSB_IO', `${content.hostFile}: became shorter while ${path} was written`);
    yield buffer.subarray(0, bytesRead);
    offset += bytesRead;
  }
  yield Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);
}
