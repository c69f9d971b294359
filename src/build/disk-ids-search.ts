import { TsbuilderError } from '../errors.js';
import type { IdSearch, SearchedFile } from '../customize/replace-ids.js';
import { type IdHit, type IdText, LONGEST_ID } from '../customize/id-text.js';
import { archiveOf, openUnpacked } from './disk-ids-archive.js';

/** What a search needs to know besides the ids. */
export interface SearchOptions {
  /** The disk, for messages. */
  readonly disk: string;
  readonly isElsewhere: (path: string) => boolean;
  readonly signal: AbortSignal;
}

/** Larger files are no settings that somebody wrote. */
const MAX_TEXT = 1024 * 1024;
const CHUNK = 4 * 1024 * 1024;
const HEAD = 512;

/** A search for old ids on a disk: see {@link IdSearch}. */
export function openIdSearch(ids: IdText, { disk, isElsewhere, signal }: SearchOptions): IdSearch {
  const refuse = (where: string, detail: string): never => {
    throw new TsbuilderError('TSB_GUEST', `${disk}: the disk cannot get new ids: ${where}: ${detail}`, {
      hint: 'Leave --disk-uuid away, or remove the old id from that place first.',
      details: { reason: 'disk-id', where },
    });
  };
  const judge: IdSearch['judge'] = async (file, kind) => {
    signal.throwIfAborted();
    const head = await file.read(0, Math.min(HEAD, file.size));
    if (kind === 'boot') {
      if (isUnifiedKernel(head)) refuse(file.label, 'a unified kernel image, which cannot be searched');
      await searchArchive(file, head);
    }
    if (file.size <= MAX_TEXT) {
      const data = file.size <= HEAD ? head : await file.read(0, file.size);
      const hits = ids.find(data);
      if (hits.length === 0) return 'keep';
      return data.includes(0) ? refuseHit(file.label, hits[0], data) : 'change';
    }
    await searchLong(file);
    return 'keep';
  };
  const refuseHit = (where: string, hit: IdHit | undefined, data: Buffer): never =>
    refuse(where, `it has the old id of ${hit?.change.what ?? 'the disk'} ${contextOf(data, hit)}`);
  const searchLong = async (file: SearchedFile): Promise<void> => {
    for (let at = 0; at < file.size; at += CHUNK - 2 * LONGEST_ID) {
      signal.throwIfAborted();
      const data = await file.read(at, Math.min(CHUNK, file.size - at));
      const [hit] = ids.find(data);
      if (hit) refuseHit(file.label, hit, data);
    }
  };
  const searchArchive = async (file: SearchedFile, head: Buffer): Promise<void> => {
    if (archiveOf(head) === undefined) return;
    try {
      await using unpacked = await openUnpacked(file, signal);
      for (const part of unpacked.parts) await searchLong({ ...part, label: `inside ${file.label}` });
    } catch (error) {
      const unreadable = error instanceof TsbuilderError && error.code === 'TSB_TOOL_FAILED';
      if (unreadable) refuse(file.label, `it cannot be searched: ${error.message}`);
      throw error;
    }
  };
  return { ids, judge, refuse, isElsewhere };
}

/** systemd's form of a kernel with an initramfs in one program: it has sections of these names. */
function isUnifiedKernel(head: Buffer): boolean {
  return head.toString('latin1', 0, 2) === 'MZ' && /\.(linux|initrd)\0/.test(head.toString('latin1'));
}

/** The printable text around a hit, for a message. */
function contextOf(data: Buffer, hit: IdHit | undefined): string {
  if (!hit) return '';
  const begin = Math.max(0, hit.offset - 24);
  const text = data.toString('latin1', begin, hit.offset + hit.text.length);
  return `(${/[\x21-\x7e]*$/.exec(text)?.[0] ?? hit.text})`;
}
