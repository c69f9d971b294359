import { spawn } from 'node:child_process';
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** A program to measure: how it is run, and what it leaves behind to be removed after each round. */
export interface Contender {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** A command that is run before each round, and not measured. */
  readonly before?: readonly string[];
  /** Files that a round makes; removed before and after it. */
  readonly makes: readonly string[];
  /** Fewer rounds for what takes minutes. */
  readonly rounds?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** A file in which the command leaves two numbers: the median milliseconds of cold reads, and of all reads. */
  readonly latencies?: string;
  /** The file that is the command's result, whose size on disk is told. */
  readonly result?: string;
}

/** One contender's result: medians over its rounds. */
export interface Measurement {
  readonly name: string;
  readonly seconds: number;
  /** User plus system time of all its processes. */
  readonly cpuSeconds: number;
  /** Peak resident memory of its largest process, in bytes. */
  readonly peakMemory: number;
  /** Median milliseconds of the first read of each block, where reads were measured. */
  readonly coldRead?: number | undefined;
  /** Bytes that its result takes on disk, where that matters. */
  readonly resultSize?: number | undefined;
  readonly rounds: number;
}

interface Round {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakMemory: number;
  readonly coldRead: number | undefined;
  readonly resultSize: number | undefined;
}

/**
 * Runs the contenders in turn, round after round, so that what else the machine does hits all of them alike.
 *
 * @throws when a contender fails
 */
export async function compare(
  contenders: readonly Contender[],
  options: { rounds: number; scratch: string; log: (text: string) => void },
): Promise<Measurement[]> {
  const results = new Map(contenders.map((contender) => [contender, [] as Round[]]));
  for (let round = 0; round < options.rounds; round += 1) {
    for (const [contender, rounds] of results) {
      if (round >= (contender.rounds ?? options.rounds)) continue;
      const result = await runOnce(contender, options.scratch);
      const cold = result.coldRead === undefined ? '' : `, cold read ${result.coldRead.toFixed(1)} ms`;
      options.log(`  ${contender.name}: ${result.seconds.toFixed(2)} s${cold}`);
      rounds.push(result);
    }
  }
  return [...results].map(([{ name }, rounds]) => ({
    name,
    seconds: median(rounds.map((round) => round.seconds)),
    cpuSeconds: median(rounds.map((round) => round.cpuSeconds)),
    peakMemory: median(rounds.map((round) => round.peakMemory)),
    coldRead: medianIfAny(rounds.flatMap(({ coldRead }) => coldRead ?? [])),
    resultSize: medianIfAny(rounds.flatMap(({ resultSize }) => resultSize ?? [])),
    rounds: rounds.length,
  }));
}

async function runOnce(contender: Contender, scratch: string): Promise<Round> {
  const report = join(scratch, 'time.txt');
  await removeAll(contender.makes);
  if (contender.before) await run(contender.before);
  const begin = performance.now();
  await run(['/usr/bin/time', '-o', report, '-f', '%U %S %M', ...contender.command], contender.env);
  const seconds = (performance.now() - begin) / 1000;
  const [user = 0, system = 0, kib = 0] = (await readFile(report, 'utf8')).trim().split(' ').map(Number);
  const coldRead = contender.latencies && Number.parseFloat(await readFile(contender.latencies, 'utf8'));
  const resultSize = contender.result === undefined ? undefined : await sizeOnDisk(contender.result);
  await removeAll(contender.makes);
  return {
    coldRead: coldRead || undefined,
    resultSize,
    seconds,
    cpuSeconds: user + system,
    peakMemory: kib * 1024,
  };
}

/** Bytes of data in a file: holes do not count, nor does what its filesystem rounds up. */
async function sizeOnDisk(path: string): Promise<number> {
  const { size, blocks } = await stat(path);
  return Math.min(size, blocks * 512);
}

async function removeAll(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true, recursive: true });
}

/** Runs a command to its end with its output discarded; throws with the end of its stderr when it fails. */
export function run(command: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<void> {
  const [file = '', ...args] = command;
  // Node reads such a bundle at every start, which takes as long again, and nothing here needs one.
  const own = { ...process.env, NODE_EXTRA_CA_CERTS: undefined };
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...own, ...env } });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-2000)));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${command.join(' ')}: status ${String(code)}\n${stderr}`));
    });
  });
}

function medianIfAny(values: readonly number[]): number | undefined {
  return values.length > 0 ? median(values) : undefined;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? NaN) + high) / 2;
}
