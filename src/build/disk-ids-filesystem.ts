import { open } from 'node:fs/promises';
import { recoverFilesystem } from '../guest/ext/recover.js';
import { ANY_STATUS, type ExtTarget, complaint, runE2fs } from '../guest/ext/e2fs-run.js';
import type { GuestVolume } from '../guest/volume.js';
import { openE2fsScratch } from '../io/e2fs-env.js';
import { TsbuilderError } from '../errors.js';
import { writeFully } from '../image/write-fully.js';

/** The file of a raw disk, and how programs that change it are to run. */
export interface IdTarget {
  readonly path: string;
  /** Seconds since 1970 for all times that are written. Default: now. */
  readonly fakeTime?: number | undefined;
  readonly sync: boolean;
  readonly signal: AbortSignal;
}

const SWAP_UUID = 1024 + 12;
const FAT32_SERIAL = 67;
const FAT16_SERIAL = 39;
const FAT32_BACKUP = 50;

/**
 * Gives a filesystem or swap space another id. An ext filesystem, whose checksums may begin with its UUID, is checked before and after.
 *
 * @throws TSB_FILESYSTEM when it is damaged, TSB_TOOL_MISSING without e2fsprogs
 */
export async function setFilesystemId(target: IdTarget, volume: GuestVolume, id: string): Promise<void> {
  const offset = volume.range?.offset ?? 0;
  if (volume.content.kind === 'ext') return setExtUuid(target, { offset, label: volume.label }, id);
  const bytes = Buffer.from(id.replaceAll('-', ''), 'hex');
  await using handle = await open(target.path, 'r+');
  const disk = { path: target.path, handle };
  if (volume.content.kind === 'swap') await writeFully(disk, offset + SWAP_UUID, bytes);
  else await setFatSerial(disk, offset, bytes.reverse());
}

/** In the boot sector and in the copy of it that FAT32 has (Microsoft, FAT32 File System Specification 1.03). */
async function setFatSerial(
  disk: Parameters<typeof writeFully>[0],
  offset: number,
  serial: Buffer,
): Promise<void> {
  const sectorAt = async (at: number): Promise<Buffer> =>
    (await disk.handle.read(Buffer.alloc(512), 0, 512, at)).buffer;
  const isFat32 = (sector: Buffer): boolean => sector.toString('latin1', 82, 87) === 'FAT32';
  const boot = await sectorAt(offset);
  await writeFully(disk, offset + (isFat32(boot) ? FAT32_SERIAL : FAT16_SERIAL), serial);
  if (!isFat32(boot)) return;
  const copy = offset + boot.readUInt16LE(FAT32_BACKUP) * boot.readUInt16LE(11);
  // Without a copy of the boot sector there, these bytes are something else.
  if (copy > offset && isFat32(await sectorAt(copy))) await writeFully(disk, copy + FAT32_SERIAL, serial);
}

async function setExtUuid(
  { path, fakeTime, sync, signal }: IdTarget,
  { offset, label }: { offset: number; label: string },
  uuid: string,
): Promise<void> {
  const present = fakeTime ?? Math.floor(Date.now() / 1000);
  const target: ExtTarget = { diskPath: path, offset, sync, signal, now: present };
  await recoverFilesystem(target);
  await using scratch = await openE2fsScratch(path, offset);
  // tune2fs wants a filesystem that was checked after it was last mounted, by its own times.
  const now = Math.max(present, await lastMounted(path, offset));
  const run = async (...command: [string, ...string[]]): Promise<void> => {
    const { status, stdout, stderr } = await runE2fs({ ...target, now }, scratch, {
      command,
      okStatus: ANY_STATUS,
      signal,
    });
    if (status === 0) return;
    throw new TsbuilderError(
      'TSB_FILESYSTEM',
      `${path}: ${label} cannot get another UUID: ${command[0]}: ${complaint(stdout, stderr)}`,
      { details: { status } },
    );
  };
  await run('e2fsck', '-fp', scratch.device);
  await run('tune2fs', '-U', uuid, scratch.device);
  await run('e2fsck', '-fn', scratch.device);
}

/** The superblock's time of the last mount (Linux, Documentation/filesystems/ext4/super.rst), seconds since 1970. */
async function lastMounted(path: string, offset: number): Promise<number> {
  await using handle = await open(path, 'r');
  const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, offset + 1024 + 44);
  return buffer.readUInt32LE(0);
}
