import { existsSync } from 'node:fs';
import { open, readFile, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { run } from './measure.js';

const MIB = 1024 * 1024;
const DENSE_SIZE = 256 * MIB;

/** Files that the rows work on, made once and kept in `scratch`. */
export interface Inputs {
  /** The real debian-12 template of the local repository. */
  readonly template: string;
  /** Its data without its zeros, 256 MiB in blocks of 16 MiB. */
  readonly dense: string;
  /** The same data as 256 streams of 1 MiB. */
  readonly streams: string;
}

/** The folder of the local repository that `tsbuilder template build` fills. */
export function repositoryFolder(): string {
  const data =
    process.env['TSBUILDER_DATA_DIR'] ??
    join(process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local', 'share'), 'tsbuilder');
  return join(data, 'repository');
}

/**
 * Makes what is missing; the template is built if there is none.
 *
 * @param cli path of the built program
 */
export async function prepareInputs(cli: string, scratch: string): Promise<Inputs> {
  const template = await findTemplate(cli);
  const dense = join(scratch, 'dense.img.xz');
  const streams = join(scratch, 'streams.img.xz');
  if (!existsSync(dense) || !existsSync(streams)) {
    const raw = join(scratch, 'dense.img');
    await writeDense(template, raw, scratch);
    await run([
      'sh',
      '-c',
      'xz -T2 -6 --block-size=16MiB -c "$1" > "$2.part" && mv "$2.part" "$2"',
      'sh',
      raw,
      dense,
    ]);
    await writeStreams(raw, streams);
    await rm(raw);
  }
  return { template, dense, streams };
}

async function findTemplate(cli: string): Promise<string> {
  const find = async (): Promise<string | undefined> =>
    (await readdir(repositoryFolder()).catch(() => [])).find((name) => /^debian-12.*\.xz$/.test(name));
  if ((await find()) === undefined) await run([process.execPath, cli, 'template', 'build', 'debian-12']);
  const name = await find();
  if (name === undefined) throw new Error(`no debian-12 template in ${repositoryFolder()}`);
  return join(repositoryFolder(), name);
}

/** The first 256 MiB of the template's 64 KiB pieces that are not all zero. */
async function writeDense(template: string, path: string, scratch: string): Promise<void> {
  const disk = join(scratch, 'template.img');
  await run(['sh', '-c', 'xz -T2 -dc "$1" > "$2"', 'sh', template, disk]);
  const source = await open(disk);
  const target = await open(path, 'w');
  const piece = Buffer.alloc(65_536);
  const zero = Buffer.alloc(65_536);
  for (let written = 0; written < DENSE_SIZE;) {
    const { bytesRead } = await source.read(piece, 0, piece.length);
    if (bytesRead === 0) throw new Error('the template has less than 256 MiB of data');
    if (piece.equals(zero)) continue;
    await target.write(piece);
    written += piece.length;
  }
  await source.close();
  await target.close();
  await rm(disk);
}

async function writeStreams(raw: string, path: string): Promise<void> {
  const part = `${raw}.piece`;
  const out = await open(`${path}.part`, 'w');
  const source = await open(raw);
  const piece = Buffer.alloc(MIB);
  for (let offset = 0; offset < DENSE_SIZE; offset += MIB) {
    await source.read(piece, 0, MIB, offset);
    const handle = await open(part, 'w');
    await handle.write(piece);
    await handle.close();
    await run(['xz', '-T1', '-6', '-f', part]);
    await out.write(await readFile(`${part}.xz`));
  }
  await rm(`${part}.xz`);
  await source.close();
  await out.close();
  await rename(`${path}.part`, path);
}
