import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder that is removed when disposed. */
export interface TempFolder extends Disposable {
  readonly path: string;
  /** The path of `name` in the folder. */
  file(name: string): string;
}

export function tempFolder(parent = tmpdir()): TempFolder {
  const path = mkdtempSync(join(parent, 'tsbuilder-test-'));
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Runs a tool that the tests need; a missing or failing one fails the test. */
export function run(tool: string, ...args: string[]): string {
  return execFileSync(tool, args, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
}

/** Makes an empty file, as `openOutputFile` does, and returns its path. */
export function emptyFile(path: string): string {
  writeFileSync(path, '', { flag: 'wx' });
  return path;
}

/** Throws unless `path` is on ext4: the rules about delayed allocation can only be tested there. */
export function requireExt4(path: string): void {
  const type = run('stat', '-f', '-c', '%T', path).trim();
  if (type !== 'ext2/ext3') throw new Error(`${path} is on ${type}; this test needs TMPDIR on ext4`);
}

/**
 * How many of the file's blocks hold data that has its place on the disk (`placed`), and how many hold data that still
 * waits for one (`delayed`). Preallocated blocks without data count as neither.
 */
export function extentStates(path: string): { delayed: number; placed: number } {
  const states = { delayed: 0, placed: 0 };
  for (const line of run('filefrag', '-v', path).split('\n')) {
    const blocks = /^\s*\d+:\s+(\d+)\.\.\s*(\d+):/.exec(line);
    const length = blocks ? Number(blocks[2]) - Number(blocks[1]) + 1 : 0;
    if (line.includes('delalloc')) states.delayed += length;
    else if (!line.includes('unwritten')) states.placed += length;
  }
  return states;
}
