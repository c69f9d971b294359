import type { Desk, Outcome, RunOptions, Running } from './e2e.js';

/** What the program says when clients can connect. */
export interface ReadyLine {
  readonly pid: number;
  readonly uri: string;
  readonly tls: string;
  readonly exports: readonly {
    readonly name: string;
    readonly uri: string;
    readonly src: string;
    readonly size: number;
    readonly format: string;
    readonly protection: string;
    readonly writable: boolean;
  }[];
  readonly metrics?: string;
}

/** `tsbuilder serve` at work. Disposing it ends it, if need be. */
export interface ServingProgram extends AsyncDisposable, Running {
  readonly ready: ReadyLine;
  /** Sends a signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<Outcome>;
}

/** Starts `tsbuilder serve ARGS --json` and waits until it is ready; throws with what it said when it ends before. */
export async function startServing(
  desk: Desk,
  args: readonly string[],
  options?: RunOptions,
): Promise<ServingProgram> {
  const running = desk.start(['serve', ...args, '--json'], options);
  const ready = await Promise.race([
    firstLine(running),
    running.ended.then(({ status, stdout, stderr }) => {
      throw new Error(`serve ended with status ${status}:\n${stdout.toString()}\n${stderr}`);
    }),
  ]);
  const stop = (signal: NodeJS.Signals = 'SIGTERM'): Promise<Outcome> => {
    process.kill(ready.pid, signal);
    return running.ended;
  };
  return {
    ...running,
    ready,
    stop,
    async [Symbol.asyncDispose]() {
      const { exitCode, signalCode } = running.child;
      if (exitCode === null && signalCode === null) await stop();
    },
  };
}

function firstLine({ child }: Running): Promise<ReadyLine> {
  return new Promise((done) => {
    let text = '';
    child.stdout?.on('data', (data: Buffer) => {
      text += data.toString();
      const end = text.indexOf('\n');
      if (end >= 0) done((JSON.parse(text.slice(0, end)) as { ready: ReadyLine }).ready);
    });
  });
}

/** The result object of a `serve --json` that ended: what follows the ready line. */
export function resultAfterReady(outcome: Outcome): unknown {
  return resultOfText(outcome.stdout.toString());
}

/** The same from its standard output. */
export function resultOfText(text: string): unknown {
  return JSON.parse(text.slice(text.indexOf('\n') + 1)) as unknown;
}
