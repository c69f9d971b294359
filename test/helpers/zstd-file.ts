import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** `data` compressed by the zstd tool into one frame that tells its size, unless `args` say otherwise. */
export function zstd(data: Uint8Array, ...args: string[]): Buffer {
  return execFileSync('zstd', ['-c', '-q', `--stream-size=${data.length}`, ...args], {
    input: data,
    maxBuffer: 2 ** 30,
  });
}

/** `data` compressed by the zstd tool from a pipe: the frame does not tell its size. */
export function zstdUnsized(data: Uint8Array, ...args: string[]): Buffer {
  return execFileSync('zstd', ['-c', '-q', ...args], { input: data, maxBuffer: 2 ** 30 });
}

/** `data` compressed by pzstd: many frames, each behind a skippable one. */
export function pzstd(data: Uint8Array): Buffer {
  const path = join(tmpdir(), `pzstd-${randomUUID()}`);
  try {
    writeFileSync(path, data);
    execFileSync('pzstd', ['-q', '-1', '-p', '4', path, '-o', `${path}.zst`]);
    return readFileSync(`${path}.zst`);
  } finally {
    rmSync(path, { force: true });
    rmSync(`${path}.zst`, { force: true });
  }
}

/** One frame and what the seek table says of it. */
export interface TableEntry {
  readonly frame: Buffer;
  readonly contentSize: number;
  /** XXH64's low 32 bits, as the frame has them at its end when made with `--check`. */
  readonly checksum?: number | undefined;
}

/** The entries of `data` cut into frames of `size` bytes; `check` says where a checksum is to be. */
export function cutIntoFrames(
  data: Uint8Array,
  size: number,
  check: { readonly frame: boolean; readonly table: boolean } = { frame: true, table: false },
): TableEntry[] {
  const entries: TableEntry[] = [];
  for (let at = 0; at < data.length; at += size) {
    const part = data.subarray(at, at + size);
    const checked = zstd(part, '-1', '--check');
    entries.push({
      frame: check.frame ? checked : zstd(part, '-1', '--no-check'),
      contentSize: part.length,
      checksum: check.table ? checked.readUInt32LE(checked.length - 4) : undefined,
    });
  }
  return entries;
}

/** The seek table of the seekable format, as its specification lays it out; `change` spoils it. */
export function seekTable(
  entries: readonly TableEntry[],
  change: { readonly count?: number; readonly descriptor?: number; readonly magic?: number } = {},
): Buffer {
  const checksums = entries.some(({ checksum }) => checksum !== undefined);
  const body = entries.map(({ frame, contentSize, checksum = 0 }) =>
    words(frame.length, contentSize, ...(checksums ? [checksum] : [])),
  );
  const tail = Buffer.concat([
    words(change.count ?? entries.length),
    Buffer.from([change.descriptor ?? (checksums ? 0x80 : 0)]),
    words(0x8f92eab1),
  ]);
  const size = body.reduce((sum, { length }) => sum + length, tail.length);
  return Buffer.concat([words(change.magic ?? 0x184d2a5e, size), ...body, tail]);
}

/** A seekable file: frames and their table. */
export function seekableFile(entries: readonly TableEntry[], table = seekTable(entries)): Buffer {
  return Buffer.concat([...entries.map(({ frame }) => frame), table]);
}

/** Little-endian 32-bit numbers. */
export function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, index * 4);
  return bytes;
}
