import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openFileSource } from '../src/io/file-source.js';
import { readXzIndex } from '../src/xz/xz-index.js';
import type { Contender } from './measure.js';

const READS = 300;
const READ = 4096;
/** Blocks that pack to less hold hardly anything. */
const DATA_BLOCK = 100_000;
const CLIENT = join(import.meta.dirname, 'random-reads.py');
/** The Python for which distributions package libnbd. */
const PYTHON = '/usr/bin/python3';

/** What the rows about serving work with. */
export interface ServeInputs {
  readonly cli: string;
  readonly template: string;
  readonly scratch: string;
}

/** Writes where the random reads go, the same for every contender and run: anywhere in blocks that hold data. */
export async function writeOffsets({ template, scratch }: ServeInputs): Promise<void> {
  await using source = await openFileSource(template);
  const index = await readXzIndex(source);
  const blocks = [...index.blocks()].filter(({ totalSize }) => totalSize >= DATA_BLOCK);
  let state = 42;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  const lines = Array.from({ length: READS }, () => {
    const block = blocks[below(blocks.length)];
    if (!block) throw new Error(`${template}: no blocks with data`);
    const page = below(Math.floor(block.uncompressedSize / READ));
    return `${block.number} ${block.uncompressedOffset + page * READ}\n`;
  });
  await writeFile(offsetsFile(scratch), lines.join(''));
}

/** Random reads with `depth` requests under way, from each server. The template was not read before by any of them. */
export function randomReaders(inputs: ServeInputs, depth: number): Contender[] {
  const report = join(inputs.scratch, 'latency.txt');
  const client = `"${PYTHON}" "${CLIENT}" "$uri" ${depth} "${offsetsFile(inputs.scratch)}" "${report}"`;
  return servers(inputs, client).map((server) => ({ ...server, makes: [report], latencies: report }));
}

/** The whole template copied to a file by nbdcopy. */
export function copiers(inputs: ServeInputs): Contender[] {
  const copy = join(inputs.scratch, 'served.img');
  return servers(inputs, `nbdcopy "$uri" "${copy}"`).map((server) => ({ ...server, makes: [copy] }));
}

function servers({ cli, template }: ServeInputs, client: string): Contender[] {
  const nbdkit = ['nbdkit', '-U', '-', '--filter=xz', 'file', template] as const;
  return [
    {
      name: 'tsbuilder serve',
      command: [process.execPath, cli, 'serve', template, '-U', '-', '--run', client, '--quiet'],
      makes: [],
    },
    { name: 'nbdkit xz, 64 blocks', command: [...nbdkit, 'xz-max-depth=64', '--run', client], makes: [] },
    { name: 'nbdkit xz, default', command: [...nbdkit, '--run', client], makes: [], rounds: 1 },
  ];
}

function offsetsFile(scratch: string): string {
  return join(scratch, 'offsets.txt');
}
