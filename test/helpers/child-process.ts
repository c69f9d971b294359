import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

/** What a child printed and how it ended. */
export interface ChildResult {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts `test/helpers/NAME.ts` as a process of its own. */
export function startChild(
  name: string,
  args: readonly string[],
): { child: ChildProcess; ended: Promise<ChildResult> } {
  const script = join(import.meta.dirname, `${name}.ts`);
  const child = spawn(process.execPath, ['--import', 'tsx', script, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const text = { stdout: '', stderr: '' };
  child.stdout.on('data', (data: Buffer) => (text.stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (text.stderr += data.toString()));
  const ended = new Promise<ChildResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve({ status, signal, ...text }));
  });
  return { child, ended };
}
