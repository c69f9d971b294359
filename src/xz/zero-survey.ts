import { isAllZero } from '../io/all-zero.js';
import type { ByteSource } from '../io/byte-source.js';
import type { XzBlock, XzIndex } from './block-table.js';
import type { BlockVerifier } from './block-verifier.js';
import { ZeroBlocks } from './zero-blocks.js';

/** A megabyte of zeros packs to about 150 bytes; nothing else that matters packs as well. */
const ZERO_RATIO = 1000;
/** Kinds of blocks that are looked at: each may cost the decoding of one. */
const MAX_KINDS = 16;
/** Compressed bytes of neighbours that are read at once. */
const MAX_RUN = 4 * 1024 * 1024;
/** Largest block that is decoded to find out. */
const MAX_SAMPLE = 256 * 1024 * 1024;

/** What the survey works with. */
export interface ZeroSurveyOptions {
  /** Decodes a block whose compressed bytes are at hand. */
  readonly decode: (block: XzBlock, whole: Uint8Array) => AsyncIterable<Uint8Array>;
  readonly verify?: BlockVerifier | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Blocks of one size, compressed and not, with one kind of check: those that are zero are equal. */
interface Kind {
  /** Numbers of the blocks. */
  readonly members: Set<number>;
  /** One of them has been decoded. */
  sampled: boolean;
  /** One of them is known to be zero. */
  found: boolean;
}

/**
 * Finds the blocks of an xz file that are zero throughout by reading next to nothing: of the blocks that pack suspiciously well one
 * of each kind is decoded, and the others, a few hundred bytes each, are compared with it byte for byte. Neighbours are fetched by
 * one read.
 */
export class ZeroSurvey {
  readonly #zeros = new ZeroBlocks();
  readonly #answers = new Map<number, boolean>();
  readonly #pending = new Map<number, Promise<void>>();
  #kinds: Map<number, Kind> | undefined;

  constructor(
    private readonly source: ByteSource,
    private readonly index: XzIndex,
    private readonly options: ZeroSurveyOptions,
  ) {}

  /** Whether block `number` is certainly zero throughout. False: it may be anything, or cannot be read. */
  async isZero(number: number): Promise<boolean> {
    this.#kinds ??= findKinds(this.index);
    const kind = this.#kinds.get(number);
    const known = this.#answers.get(number);
    if (known !== undefined || !kind || (kind.sampled && !kind.found)) return known ?? false;
    const run = this.#pending.get(number) ?? this.#start(kind, number);
    await run.catch(() => undefined);
    return this.#answers.get(number) ?? false;
  }

  /** Remembers a block that was decoded without error to zeros only. */
  learn(block: XzBlock, whole: Uint8Array): void {
    this.#answers.set(block.number, true);
    this.#zeros.add(block, this.#check(block), whole);
    const kind = this.#kinds?.get(block.number);
    if (kind) kind.found = true;
  }

  /** Resolves when nothing is being read or decoded any more. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#pending.values());
  }

  #start(kind: Kind, number: number): Promise<void> {
    const run = this.#runAround(kind, number);
    const work = this.#compare(kind, { run, number }).finally(() => {
      for (const member of run) this.#pending.delete(member.number);
    });
    for (const member of run) this.#pending.set(member.number, work);
    return work;
  }

  /** The members of `kind` beside block `number` that touch in the file and are not looked at yet, `number` among them. */
  #runAround(kind: Kind, number: number): XzBlock[] {
    const open = (at: number): boolean =>
      kind.members.has(at) && !this.#answers.has(at) && !this.#pending.has(at);
    const { stream, totalSize } = this.index.block(number);
    const limit = Math.max(1, Math.floor(MAX_RUN / totalSize));
    let first = number;
    while (number - first < limit / 2 && open(first - 1)) first -= 1;
    let end = number + 1;
    while (end - first < limit && open(end)) end += 1;
    const blocks = Array.from({ length: end - first }, (_, at) => this.index.block(first + at));
    return blocks.filter((block) => block.stream === stream);
  }

  async #compare(kind: Kind, { run, number }: { run: readonly XzBlock[]; number: number }): Promise<void> {
    const start = run[0]?.compressedOffset ?? 0;
    const length = run.reduce((sum, { totalSize }) => sum + totalSize, 0);
    const data = await this.source.read(start, length, this.options.signal);
    const bytesOf = (block: XzBlock): Uint8Array =>
      data.slice(block.compressedOffset - start, block.compressedOffset - start + block.totalSize);
    const sample = run.find((block) => block.number === number);
    if (sample && !kind.found) await this.#sample(kind, sample, bytesOf(sample));
    if (!kind.found) return;
    for (const block of run) {
      const bytes = bytesOf(block);
      const zero = this.#zeros.has(block, this.#check(block), bytes) && this.#isVerified(block, bytes);
      this.#answers.set(block.number, zero);
    }
  }

  async #sample(kind: Kind, block: XzBlock, whole: Uint8Array): Promise<void> {
    kind.sampled = true;
    if (block.uncompressedSize > MAX_SAMPLE || !this.#isVerified(block, whole)) return;
    for await (const slice of this.options.decode(block, whole)) if (!isAllZero(slice)) return;
    this.learn(block, whole);
  }

  #isVerified(block: XzBlock, bytes: Uint8Array): boolean {
    try {
      this.options.verify?.check(block.number, bytes);
      return true;
    } catch {
      return false;
    }
  }

  #check(block: XzBlock): number {
    return this.index.streams[block.stream]?.check ?? 0;
  }
}

/** Blocks that pack suspiciously well, each with the kind it is of; of many kinds only those with the most members. */
function findKinds(index: XzIndex): Map<number, Kind> {
  const groups = new Map<string, Set<number>>();
  for (const block of index.blocks()) {
    if (block.uncompressedSize === 0 || block.uncompressedSize < block.totalSize * ZERO_RATIO) continue;
    const key = `${block.unpaddedSize} ${block.uncompressedSize} ${index.streams[block.stream]?.check ?? 0}`;
    const group = groups.get(key);
    if (group) group.add(block.number);
    else groups.set(key, new Set([block.number]));
  }
  const largest = [...groups.values()].sort((a, b) => b.size - a.size).slice(0, MAX_KINDS);
  const kinds = new Map<number, Kind>();
  for (const members of largest) {
    const kind: Kind = { members, sampled: false, found: false };
    for (const number of members) kinds.set(number, kind);
  }
  return kinds;
}
