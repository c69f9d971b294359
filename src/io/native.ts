import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';

type Koffi = typeof import('koffi').default;

/** A value that can cross into C: numbers, strings, Buffers (as pointers) and null pointers. */
export type NativeValue = number | bigint | string | Uint8Array | null;

/** One C function. */
export interface NativeFunction {
  /** Calls it on this thread: for calls that return at once. */
  (...args: NativeValue[]): NativeValue;
  /**
   * Calls it on the libuv pool. Every Buffer among `args`, and everything in `keep` (memory that C reaches through
   * pointers), stays referenced until the call is over: koffi itself keeps no reference.
   */
  inPool(args: readonly NativeValue[], keep?: readonly unknown[]): Promise<NativeValue>;
}

/** A loaded shared library. */
export interface NativeLibrary {
  readonly name: string;
  /** Binds a function by its C prototype; throws when the library has no such symbol. */
  bind(prototype: string): NativeFunction;
}

/**
 * Threads of the libuv pool. `main` sets UV_THREADPOOL_SIZE before anything loads; a program that uses these modules
 * without it gets libuv's default of 4.
 */
function threadPoolSize(): number {
  return Math.max(1, Number(process.env['UV_THREADPOOL_SIZE'] ?? 4) || 4);
}

/** Encoders that run at once, and whatever else only computes: one per CPU, or `wanted`, and never too many for file I/O. */
export function encodeJobs(wanted = availableParallelism()): number {
  return clampJobs(wanted);
}

/**
 * Decoders that run at once: one more than there are CPUs, or `wanted`, and never too many for file I/O. Each stands still while what it
 * gave is written or sent; measured on two CPUs, the third makes a copy over NBD and an unpacking 12% faster.
 */
export function decodeJobs(wanted = availableParallelism() + 1): number {
  return clampJobs(wanted);
}

/** `jobs` limited to what leaves two pool threads for file I/O. */
function clampJobs(jobs: number): number {
  return Math.max(1, Math.min(jobs, threadPoolSize() - 2));
}

/**
 * The first of `names` that the dynamic linker finds, or undefined when there is none or when koffi, an optional
 * dependency, is not installed on this platform.
 */
export function loadNativeLibrary(names: readonly string[]): NativeLibrary | undefined {
  const koffi = loadKoffi();
  if (!koffi) return undefined;
  for (const name of names) {
    try {
      // Deep: the library's calls to itself must stay in it. The node executable exports functions of the same names (zlib's, zstd's
      // from Node.js 22.15 on) from other releases, with structures of another layout.
      const library = koffi.load(name, { deep: true });
      return { name, bind: (prototype) => wrap(library.func(prototype) as RawFunction) };
    } catch {
      // Not on this system under that name: the next one may be.
    }
  }
  return undefined;
}

/** The address of a Buffer's memory as a C pointer value. The caller keeps the Buffer referenced while C uses it. */
export function addressOf(buffer: Uint8Array): bigint {
  const koffi = loadKoffi();
  if (!koffi) throw new Error('addressOf called without koffi');
  return koffi.address(buffer);
}

/** `errno` as the last direct (not `inPool`) call left it. Read it before anything else is called. */
export function lastErrno(): number {
  return loadKoffi()?.errno() ?? 0;
}

type Completion = (error: unknown, result: NativeValue) => void;
interface RawFunction {
  (...args: NativeValue[]): NativeValue;
  async(...args: [...NativeValue[], Completion]): void;
}

function wrap(raw: RawFunction): NativeFunction {
  const inPool = async (
    args: readonly NativeValue[],
    keep: readonly unknown[] = [],
  ): Promise<NativeValue> => {
    const release = await acquireSlot();
    const held = [args, keep];
    try {
      return await new Promise((resolve, reject) => {
        raw.async(...args, (error, result) => {
          // Naming `held` here is what keeps the buffers alive until C has returned.
          if (error !== null && error !== undefined)
            reject(new Error('native call failed', { cause: [error, held] }));
          else resolve(result);
        });
      });
    } finally {
      release();
    }
  };
  return Object.assign((...args: NativeValue[]) => raw(...args), { inPool });
}

let inFlight = 0;
const waiting: (() => void)[] = [];

/** At most pool size - 2 native calls at once, so that file I/O, which uses the same pool, never starves. */
async function acquireSlot(): Promise<() => void> {
  while (inFlight >= clampJobs(Number.MAX_SAFE_INTEGER))
    await new Promise<void>((resolve) => waiting.push(resolve));
  inFlight += 1;
  return () => {
    inFlight -= 1;
    waiting.shift()?.();
  };
}

let cached: { koffi: Koffi | undefined } | undefined;

function loadKoffi(): Koffi | undefined {
  if (!cached) {
    try {
      cached = { koffi: createRequire(import.meta.url)('koffi') as Koffi };
    } catch {
      cached = { koffi: undefined };
    }
  }
  return cached.koffi;
}
