// Run as a program with a folder on a small filesystem: writes disks there that do not fit, and prints how that ended.
import { randomBytes } from 'node:crypto';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TsbuilderError } from '../../src/errors.js';
import type { DiskWriter } from '../../src/image/disk-writer.js';
import { openQcow2Writer } from '../../src/image/qcow2-writer.js';
import { openRawWriter } from '../../src/image/raw-writer.js';
import { openOutputFile } from '../../src/io/output-file.js';

const SIZE = 16 * 1024 * 1024;
const folder = process.argv[2] ?? '';

async function fill(open: (path: string) => Promise<DiskWriter>): Promise<void> {
  await using output = await openOutputFile(join(folder, 'disk'));
  await using writer = await open(output.tempPath);
  const jobs = [0, 1, 2, 3].map((job) => writer.write((job * SIZE) / 4, randomBytes(SIZE / 4)));
  await Promise.allSettled(jobs);
  await Promise.all(jobs);
  await writer.finish();
  await output.commit();
}

/** The filesystem is full before the output is even begun. */
async function beginOnFullDisk(): Promise<void> {
  const filler = join(folder, 'filler');
  try {
    writeFileSync(filler, randomBytes(SIZE));
  } catch {
    // That it does not fit is the point.
  }
  try {
    await fill((path) => openRawWriter(path, SIZE));
  } finally {
    rmSync(filler);
  }
}

async function report(kind: string, run: () => Promise<void>): Promise<void> {
  const outcome = await run().then(
    () => 'fitted',
    (error: unknown) =>
      error instanceof TsbuilderError ? `${error.code} ${error.message.replace(/^.*: /, '')}` : String(error),
  );
  console.log(`${kind}: ${outcome}; left: ${readdirSync(folder).join(' ') || '-'}`);
}

async function main(): Promise<void> {
  await report('raw', () => fill((path) => openRawWriter(path, SIZE)));
  await report('qcow2', () => fill((path) => openQcow2Writer(path, SIZE)));
  await report('zlib', () => fill((path) => openQcow2Writer(path, SIZE, { compress: 'zlib' })));
  await report('full before', beginOnFullDisk);
}

void main();
