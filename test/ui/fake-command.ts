import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Args } from '@oclif/core';
import { BaseCommand } from '../../src/base-command.js';
import { ERROR_CODES, TsbuilderError, type ErrorCode } from '../../src/errors.js';
import { sizeFlag } from '../../src/flags.js';

/** A command that does what its argument names: fail with a code, wait for a signal, or work a little. */
export class Fake extends BaseCommand<typeof Fake> {
  static override id = 'fake:run';
  static override args = { deed: Args.string({ required: true, ignoreStdin: true }) };
  static override flags = { size: sizeFlag({ description: 'a size' }) };

  protected override async execute(): Promise<unknown> {
    const { deed } = this.args;
    if (deed in ERROR_CODES) {
      throw new TsbuilderError(deed as ErrorCode, 'it failed', { hint: 'Do this.', details: { bytes: 7 } });
    }
    if (deed === 'wait') return this.waitAndCleanUp();
    if (deed === 'stuck') return this.ignoreAbort();
    if (deed === 'bug') throw new TypeError('undefined is no function');
    if (deed === 'exit') this.exit(0);
    using step = this.progress.step('Working', 3);
    step.advance(3);
    this.progress.warn('careful');
    this.progress.detail('some detail');
    this.log('done');
    return { deed, size: this.flags.size };
  }

  /** Stops when the signal says so, fails by it as a killed child would, and leaves a mark of its cleanup. */
  private async waitAndCleanUp(): Promise<never> {
    try {
      using step = this.progress.step('Waiting');
      step.advance(1);
      await sleep(60_000, undefined, { signal: this.signal });
      throw new Error('not interrupted');
    } catch (error) {
      throw new TsbuilderError('TSB_TOOL_FAILED', 'the child was killed', { cause: error });
    } finally {
      await sleep(50);
      await writeFile('cleaned', '');
    }
  }

  private async ignoreAbort(): Promise<never> {
    using step = this.progress.step('Stuck');
    step.advance(1);
    await sleep(60_000);
    throw new Error('not interrupted');
  }
}
