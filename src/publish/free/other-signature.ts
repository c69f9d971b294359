import type { ByteSource } from '../../io/byte-source.js';
import { asBuffer } from '../../probe/bytes.js';

interface Signature {
  readonly name: string;
  /** Bytes from the start. */
  readonly at: number;
  readonly magic: Buffer;
}

const text = (name: string, at: number, magic: string): Signature => ({
  name,
  at,
  magic: Buffer.from(magic, 'latin1'),
});
const bytes = (name: string, at: number, magic: string): Signature => ({
  name,
  at,
  magic: Buffer.from(magic, 'hex'),
});

const MD_MAGIC = 'fc4e2ba9';
const RAID = 'part of a Linux RAID';
const HIBERNATED = 'a hibernated system';

/** What is no filesystem that is surveyed, or lies beside the magic number of one. Names and places as in libblkid. */
const SIGNATURES: readonly Signature[] = [
  text('encrypted (BitLocker)', 3, '-FVE-FS-'),
  bytes('encrypted (BitLocker To Go)', 424, '3bd66749292ed84a8399f6a339e3d001'),
  text('encrypted (LUKS)', 16384, 'SKUL\xba\xbe'),
  text('exFAT', 3, 'EXFAT   '),
  text('ReFS', 3, 'ReFS'),
  text('VDO', 0, 'dmvdo001'),
  text('Ceph BlueStore', 0, 'bluestore block device'),
  text('Stratis', 516, '!Stra0tis'),
  text('APFS', 32, 'NXSB'),
  text('HFS+', 1024, 'H+'),
  text('HFS+', 1024, 'HX'),
  bytes('F2FS', 1024, '1020f5f2'),
  bytes('EROFS', 1024, 'e2e1f5e0'),
  text(HIBERNATED, 4086, 'S1SUSPEND'),
  text(HIBERNATED, 4086, 'S2SUSPEND'),
  text(HIBERNATED, 4086, 'ULSUSPEND'),
  text(HIBERNATED, 4086, 'LINHIB0001'),
  bytes(HIBERNATED, 4086, 'edc302e99856e50c'),
  bytes(RAID, 0, MD_MAGIC),
  bytes(RAID, 4096, MD_MAGIC),
  bytes('bcache', 4120, 'c68573f64e1a45ca8265f57f48ba6d81'),
  bytes('bcachefs', 4120, 'c68573f666ce90a9d96a60cf803df7ef'),
  text('OCFS2', 8192, 'OCFSV2'),
  text('JFS', 32768, 'JFS1'),
  text('ISO 9660', 32769, 'CD001'),
  text('ReiserFS', 65588, 'ReIsEr'),
  text('btrfs', 65600, '_BHRfS_M'),
  bytes('GFS2', 65536, '01161970'),
  bytes('UFS', 66908, '19015419'),
];

/** The names and values of a ZFS label, in its first copy. */
const ZFS = { from: 16384, to: 32768, word: 'pool_guid' };
const HEAD = 69632;
const TAIL = 131072;

/**
 * What `source`, a partition, has the signature of besides the filesystems that are surveyed: something unknown to them, or
 * something of which their magic number is only a remainder or a part. Undefined when there is none, and when it is `besides`.
 */
export async function otherSignature(
  source: ByteSource,
  { besides, signal }: { readonly besides?: string; readonly signal?: AbortSignal | undefined } = {},
): Promise<string | undefined> {
  const head = asBuffer(await source.read(0, Math.min(HEAD, source.size), signal));
  const found = SIGNATURES.find(
    ({ name, at, magic }) => name !== besides && head.subarray(at, at + magic.length).equals(magic),
  );
  if (found) return found.name;
  if (head.subarray(ZFS.from, ZFS.to).includes(ZFS.word)) return 'ZFS';
  return (await isRaidByItsEnd(source, signal)) ? RAID : undefined;
}

/** Versions 0.90 and 1.0 of a Linux RAID's superblock are at the end (Linux, md_p.h and drivers/md/md.c). */
async function isRaidByItsEnd(source: ByteSource, signal: AbortSignal | undefined): Promise<boolean> {
  const { size } = source;
  const start = Math.max(0, size - TAIL);
  const tail = asBuffer(await source.read(start, size - start, signal));
  const magic = Buffer.from(MD_MAGIC, 'hex');
  const sectors = size - (size % 512);
  const places = [size - (size % 65536) - 65536, sectors - 8192 - ((sectors - 8192) % 4096)];
  return places.some((at) => at >= start && tail.subarray(at - start, at - start + 4).equals(magic));
}
