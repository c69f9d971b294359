import { setMaxListeners } from 'node:events';
import { Command, Flags, type Interfaces, ux } from '@oclif/core';
import { EXIT, TsbuilderError, errnoOf } from './errors.js';
import { writeError } from './io/free-space.js';
import { printableJson } from './io/printable.js';
import type { Progress } from './progress.js';
import { assertArguments } from './ui/assert-arguments.js';
import { chooseProgress } from './ui/choose-progress.js';
import { failureObject, formatFailure, toFailure } from './ui/failure.js';

/** Flags of a command class, its own and the common ones, as parsed. */
export type CommandFlags<T extends typeof Command> = Interfaces.InferredFlags<
  (typeof BaseCommand)['baseFlags'] & T['flags']
>;
/** Arguments of a command class as parsed. */
export type CommandArgs<T extends typeof Command> = Interfaces.InferredArgs<T['args']>;

/** How long a command that was interrupted and has cleaned up may take to end by itself. */
const PATIENCE_MS = 500;

/** Ends the process also while a thread waits for a pipe that nobody writes to: an exit would wait for that thread. */
function endByForce(): void {
  process.removeAllListeners('SIGINT');
  process.kill(process.pid, 'SIGINT');
}

/**
 * What all commands share: `--quiet`, `--verbose`, `--json`; signals become an AbortSignal; errors become one message, a hint
 * and the exit status of their class. A command implements `execute`: it returns the object that `--json` prints.
 */
export abstract class BaseCommand<T extends typeof Command> extends Command {
  static override enableJsonFlag = true;
  static override baseFlags = {
    quiet: Flags.boolean({ char: 'q', description: 'print only warnings and errors', helpGroup: 'COMMON' }),
    verbose: Flags.boolean({ char: 'v', description: 'print details', helpGroup: 'COMMON' }),
    json: Flags.boolean({
      description: 'print the result as JSON, and (without --quiet) progress as JSON lines on standard error',
      helpGroup: 'COMMON',
    }),
  };

  protected flags!: CommandFlags<T>;
  protected args!: CommandArgs<T>;
  /** All words of the command line that are no flags: for commands that take any number of them. */
  protected words: readonly string[] = [];
  /** Options and words in the order of the command line: for options whose order among each other matters. */
  protected tokens: Interfaces.ParserOutput['raw'] = [];
  /** Where the command reports its work. */
  progress!: Progress;
  private readonly controller = new AbortController();
  private running = false;
  private failed = false;
  private stopped = false;
  /** Aborted by SIGINT, SIGTERM and SIGHUP. */
  readonly signal = this.controller.signal;

  /** Does the command's work; what it returns is the result object of `--json`. */
  protected abstract execute(): Promise<unknown>;

  override async run(): Promise<unknown> {
    await assertArguments(this.argv);
    const { args, argv, flags, raw } = await this.parse({
      flags: this.ctor.flags,
      baseFlags: (super.ctor as typeof BaseCommand).baseFlags,
      args: this.ctor.args,
      strict: this.ctor.strict,
      enableJsonFlag: this.ctor.enableJsonFlag,
    });
    this.flags = flags as CommandFlags<T>;
    this.args = args as CommandArgs<T>;
    this.words = argv.map(String);
    this.tokens = raw;
    // Whatever is under way listens, and Node takes more than ten for a leak.
    setMaxListeners(0, this.signal);
    this.progress = await chooseProgress({ ...flags, json: this.jsonEnabled() }, this.signal);
    const stop = this.listenToSignals();
    this.listenToOutput();
    this.running = true;
    try {
      return await this.execute();
    } finally {
      this.running = false;
      stop();
    }
  }

  /** Output that cannot be written ends the work as an error; a reader that went away does not. */
  private listenToOutput(): void {
    // That of oclif throws where nobody can catch it.
    process.stdout.removeAllListeners('error');
    process.stdout.on('error', (error: Error) => {
      if (errnoOf(error) === 'EPIPE') return;
      const failure = writeError('standard output', error) as Error;
      if (this.running) this.controller.abort(failure);
      else this.printFailure(toFailure(failure, { help: this.helpLine(), signal: this.signal }));
    });
  }

  private listenToSignals(): () => void {
    const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
    const onSignal = (name: NodeJS.Signals): void => {
      if (this.signal.aborted) process.exit(EXIT.interrupted);
      this.stopped = true;
      this.controller.abort(
        new TsbuilderError('TSB_INTERRUPTED', `interrupted by ${name}`, { details: { signal: name } }),
      );
    };
    for (const name of names) process.on(name, onSignal);
    return () => {
      for (const name of names) process.off(name, onSignal);
    };
  }

  /** Without oclif's colours: the result is for programs, and may hold text from anywhere. */
  protected override logJson(value: unknown): void {
    ux.stdout(printableJson(value));
  }

  protected override catch(error: Error): Promise<void> {
    const failure = toFailure(error, { help: this.helpLine(), signal: this.signal });
    if (failure === undefined) throw error;
    process.exitCode = failure.exit;
    if (this.stopped) setTimeout(endByForce, PATIENCE_MS).unref();
    // A usage error is told once, without oclif's warning that arguments were never parsed.
    this.parsed = true;
    if (this.jsonEnabled()) this.logJson(failureObject(failure));
    else this.printFailure(failure);
    return Promise.resolve();
  }

  private printFailure(failure: TsbuilderError | undefined): void {
    // Each further write to a standard output that is broken says so again.
    if (!failure || this.failed) return;
    this.failed = true;
    process.exitCode = failure.exit;
    // Content in a pipe that nobody reads would keep an interrupted process alive.
    const stop = failure.exit === EXIT.interrupted && process.stdout.writableLength > 0;
    const text = formatFailure(failure, { debug: process.env['DEBUG'] !== undefined });
    process.stderr.write(text, () => stop && process.exit(failure.exit));
  }

  private helpLine(): string {
    return [this.config.bin, ...(this.id?.split(':') ?? []), '--help'].join(' ');
  }
}
