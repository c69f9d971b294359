import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Errors } from '@oclif/core';
import { TsbuilderError } from '../../src/errors.js';
import { backupName, tempName } from '../../src/io/temp-name.js';
import { failureObject, formatFailure, toFailure } from '../../src/ui/failure.js';

const help = 'tsbuilder build --help';
const quiet = { help, signal: new AbortController().signal };
const aborted = {
  help,
  signal: AbortSignal.abort(new TsbuilderError('TSB_INTERRUPTED', 'interrupted by SIGINT')),
};

describe('toFailure', () => {
  it('keeps our own errors', () => {
    const error = new TsbuilderError('TSB_NO_SPACE', 'disk full');
    expect(toFailure(error, quiet)).toBe(error);
  });

  it('is the interruption after an abort, whatever that broke', () => {
    const cause = new TsbuilderError('TSB_TOOL_FAILED', 'resize2fs was killed');
    const failure = toFailure(cause, aborted);
    expect(failure).toMatchObject({
      code: 'TSB_INTERRUPTED',
      exit: 130,
      message: 'interrupted by SIGINT',
      cause,
    });
  });

  it('tells what broke first when cleaning up failed too', async () => {
    const first = new TsbuilderError('TSB_TOOL_FAILED', 'mmdebstrap failed');
    const work = async (): Promise<void> => {
      await using _ = { [Symbol.asyncDispose]: () => Promise.reject(new Error('rm failed')) };
      throw first;
    };
    const outer = async (): Promise<void> => {
      await using _ = { [Symbol.asyncDispose]: () => Promise.reject(new Error('close failed')) };
      await work();
    };
    const thrown = await outer().catch((error: unknown) => error as Error);
    expect(thrown).not.toBe(first);
    expect(toFailure(thrown as Error, quiet)).toBe(first);
  });

  it('tells of a full disk wherever it was met', () => {
    const error = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    expect(toFailure(error, quiet)).toMatchObject({ code: 'TSB_NO_SPACE', exit: 7, cause: error });
  });

  it('takes what oclif puts around a message away', () => {
    const error = new TsbuilderError('TSB_USAGE', '"x" is not a size', { hint: 'Write 10G.' });
    error.message = `Parsing --size \n\t${error.message}\nSee more help with --help`;
    expect(toFailure(error, quiet)).toMatchObject({
      message: '--size: "x" is not a size',
      hint: 'Write 10G.',
    });
  });

  it("makes oclif's parse errors usage errors of one line", () => {
    const error = new Errors.CLIError(
      'Missing 1 required arg:\nname  \x1b[2mtemplate\x1b[22m\nSee more help with --help',
    );
    expect(toFailure(error, quiet)).toMatchObject({
      code: 'TSB_USAGE',
      exit: 2,
      message: 'NAME (template) is missing',
      hint: 'Run `tsbuilder build --help` for what can be given.',
    });
  });

  it('tells of missing arguments only what they are', () => {
    const error = new Errors.CLIError(
      'Missing 2 required args:\nname  templates to fetch\nuri   where\n\nNote: --source allows multiple values. Because of this ...',
    );
    expect(toFailure(error, quiet)?.message).toBe('NAME (templates to fetch) and URI (where) are missing');
  });

  it('names the output and not its temporary name', () => {
    const path = join('/srv/my disks', tempName('big disk.img'));
    const failure = toFailure(new TsbuilderError('TSB_NO_SPACE', `cp: ${path}: no space left`), quiet);
    expect(failure).toMatchObject({
      code: 'TSB_NO_SPACE',
      message: 'cp: /srv/my disks/big disk.img: no space left',
    });
    const long = new TsbuilderError('TSB_IO', `${join('/srv', backupName(tempName('x'.repeat(200))))}: gone`);
    expect(toFailure(long, quiet)?.message).toBe('/srv/the new file: gone');
  });

  it('leaves a wanted exit alone', () => {
    expect(toFailure(new Errors.ExitError(0), quiet)).toBeUndefined();
  });

  it('takes anything else for a fault of its own', () => {
    expect(toFailure(new TypeError('x is undefined'), quiet)).toMatchObject({
      code: 'TSB_INTERNAL',
      exit: 1,
      message: 'internal error: x is undefined',
    });
  });
});

describe('formatFailure and failureObject', () => {
  const failure = new TsbuilderError('TSB_HTTP_STATUS', 'server said "\x1b[2J404"', {
    hint: 'Check the address.',
    details: { status: 404 },
    cause: new Error('the cause'),
  });

  it('print message, code and hint, without control characters', () => {
    expect(formatFailure(failure, { debug: false })).toBe(
      'tsbuilder: server said "\\x1b[2J404" [TSB_HTTP_STATUS]\n  Check the address.\n',
    );
  });

  it('print the stacks of all causes for debugging', () => {
    expect(formatFailure(failure, { debug: true })).toMatch(
      /TsbuilderError: server[^]*Error: the cause\n +at /,
    );
  });

  it('give the same as data', () => {
    expect(failureObject(failure)).toEqual({
      error: {
        code: 'TSB_HTTP_STATUS',
        message: 'server said "\x1b[2J404"',
        hint: 'Check the address.',
        details: { status: 404 },
        exit: 6,
      },
    });
  });
});
