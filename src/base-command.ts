import { Command, Flags, type Interfaces } from '@oclif/core';
import { EXIT, TsbuilderError, isAbort, messageOf } from './errors.js';
import type { Progress } from './progress.js';
import { chooseProgress } from './ui/choose-progress.js';

/** Flags of a command class, its own and the common ones, as parsed. */
export type CommandFlags<T extends typeof Command> = Interfaces.InferredFlags<
  (typeof BaseCommand)['baseFlags'] & T['flags']
>;
/** Arguments of a command class as parsed. */
export type CommandArgs<T extends typeof Command> = Interfaces.InferredArgs<T['args']>;

/**
 * What all commands share: `--quiet`, `--verbose`, `--json`; signals become an AbortSignal; errors become one message, a hint
 * and the exit status of their class. A command implements `execute`: it returns the object that `--json` prints.
 */
export abstract class BaseCommand<T extends typeof Command> extends Command {
  static override enableJsonFlag = true;
  static override baseFlags = {
    quiet: Flags.boolean({ char: 'q', description: 'print only warnings and errors', helpGroup: 'COMMON' }),
    verbose: Flags.boolean({ char: 'v', description: 'print details', helpGroup: 'COMMON' }),
  };

  protected flags!: CommandFlags<T>;
  protected args!: CommandArgs<T>;
  protected progress!: Progress;
  private readonly controller = new AbortController();
  /** Aborted by SIGINT, SIGTERM and SIGHUP. */
  protected readonly signal = this.controller.signal;

  /** Does the command's work; what it returns is the result object of `--json`. */
  protected abstract execute(): Promise<unknown>;

  override async run(): Promise<unknown> {
    const { args, flags } = await this.parse({
      flags: this.ctor.flags,
      baseFlags: (super.ctor as typeof BaseCommand).baseFlags,
      args: this.ctor.args,
      strict: this.ctor.strict,
      enableJsonFlag: this.ctor.enableJsonFlag,
    });
    this.flags = flags as CommandFlags<T>;
    this.args = args as CommandArgs<T>;
    this.progress = await chooseProgress({ ...flags, json: this.jsonEnabled() });
    const stop = this.listenToSignals();
    try {
      return await this.execute();
    } finally {
      stop();
    }
  }

  private listenToSignals(): () => void {
    const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
    const onSignal = (name: NodeJS.Signals): void => {
      if (this.signal.aborted) process.exit(EXIT.interrupted);
      this.controller.abort(new TsbuilderError('TSB_INTERRUPTED', `interrupted by ${name}`));
    };
    for (const name of names) process.on(name, onSignal);
    return () => {
      for (const name of names) process.off(name, onSignal);
    };
  }

  protected override async catch(error: Error & { oclif?: { exit?: number } }): Promise<void> {
    const failure = this.asFailure(error);
    if (failure === undefined && !this.jsonEnabled()) throw error;
    process.exitCode = failure?.exit ?? error.oclif?.exit ?? EXIT.usage;
    if (this.jsonEnabled()) {
      this.logJson(this.toErrorJson(failure ?? error));
      return Promise.resolve();
    }
    if (failure)
      process.stderr.write(
        formatFailure(failure, process.env['DEBUG'] !== undefined),
      );
  }

  /** `error` as ours; undefined when oclif made it (a usage error or a wanted exit), which oclif prints best. */
  private asFailure(error: Error & { oclif?: { exit?: number } }): TsbuilderError | undefined {
    if (error instanceof TsbuilderError) return error;
    if (this.signal.aborted && isAbort(error)) return this.signal.reason as TsbuilderError;
    if (error.oclif !== undefined) return undefined;
    return new TsbuilderError('TSB_INTERNAL', `internal error: ${messageOf(error)}`, {
      hint: 'This is a fault of tsbuilder; run again with DEBUG=1 for a stack trace and report it.',
      cause: error,
    });
  }

  protected override toErrorJson(error: unknown): unknown {
    if (error instanceof TsbuilderError) {
      const { code, message, hint, details, exit } = error;
      return { error: { code, message, hint, details, exit } };
    }
    return { error: { code: 'TSB_USAGE', message: messageOf(error), exit: EXIT.usage } };
  }
}

function formatFailure(failure: TsbuilderError, debug: boolean): string {
  const lines = [`tsbuilder: ${failure.message} [${failure.code}]`];
  if (failure.hint !== undefined) lines.push(`  ${failure.hint}`);
  for (let error: unknown = failure; debug && error instanceof Error; error = error.cause)
    lines.push(error.stack ?? '');
  return `${lines.join('\n')}\n`;
}
