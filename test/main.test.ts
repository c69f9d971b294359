import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { scratchFolder } from './helpers/scratch-folder.js';
import { bashCompleter, fishCompleter, zshCompleter } from './ui/shells.js';

// These tests run the built program: `npm test` builds it first.
const ROOT = join(import.meta.dirname, '..');
const PROGRAM = join(ROOT, 'dist/main.cjs');

let folder: Awaited<ReturnType<typeof scratchFolder>>;
beforeAll(async () => {
  expect(existsSync(PROGRAM), 'dist/main.cjs: run `npm run build` first').toBe(true);
  folder = await scratchFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program in an empty folder, with an empty home and no network to reach. */
function tsbuilder(args: readonly string[], nodeOptions: readonly string[] = []): Promise<Outcome> {
  const env = {
    PATH: process.env['PATH'],
    HOME: folder.path,
    TERM: 'dumb',
    MODULE_LOG: join(folder.path, 'modules'),
  };
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [...nodeOptions, PROGRAM, ...args],
      { cwd: folder.path, env, timeout: 25_000 },
      (_error, stdout, stderr) => resolve({ status: child.exitCode ?? -1, stdout, stderr }),
    );
    child.stdin?.end();
  });
}

describe('the default command', () => {
  it('is build: its help, with or without its name', async () => {
    const [named, byTemplate, byOption] = await Promise.all([
      tsbuilder(['build', '--help']),
      tsbuilder(['debian-12', '--help']),
      tsbuilder(['--size', '10G', '--help']),
    ]);
    expect(named.status).toBe(0);
    expect(named.stdout).toContain('tsbuilder build');
    expect(named.stdout).toContain('--format');
    expect(byTemplate).toEqual(named);
    expect(byOption).toEqual(named);
  });

  it('is build: its errors, with or without its name', async () => {
    const runs = await Promise.all(
      [
        ['build', 'debian-12', '--size', 'x'],
        ['debian-12', '--size', 'x'],
        ['--size', 'x', 'debian-12'],
      ].map((args) => tsbuilder(args)),
    );
    for (const run of runs) {
      expect(run.status).toBe(2);
      expect(run.stdout).toBe('');
      expect(run.stderr).toContain('tsbuilder: --size: "x" is not a size [TSB_USAGE]\n');
    }
  });

  it('leaves other commands alone', async () => {
    const { status, stdout } = await tsbuilder(['man', '--help']);
    expect(status).toBe(0);
    expect(stdout).toContain('tsbuilder man');
  });

  it('takes a word after -- for a template', async () => {
    const { status, stderr } = await tsbuilder(['--', 'man', 'cache']);
    expect(status).toBe(2);
    expect(stderr).toContain('Unexpected argument: cache [TSB_USAGE]');
  });
});

describe('general options', () => {
  it.each(['--version', '-V'])('%s prints the version', async (option) => {
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    const { status, stdout } = await tsbuilder([option]);
    expect(status).toBe(0);
    expect(stdout).toMatch(new RegExp(`^tsbuilder/${version.replaceAll('.', '\\.')} `));
  });

  it.each([[[]], [['-h']], [['help']], [['--help']]])('%j lists the commands', async (args) => {
    const { status, stdout } = await tsbuilder(args);
    expect(status).toBe(0);
    for (const command of ['build', 'completion', 'man']) {
      expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
    }
  });

  it('help COMMAND is COMMAND --help', async () => {
    const [help, option] = await Promise.all([tsbuilder(['help', 'man']), tsbuilder(['man', '--help'])]);
    expect(help).toEqual(option);
  });
});

describe('start-up', () => {
  // Notes what is loaded: both loaders are asked for names, the one of CommonJS through its own function.
  const RECORDER = `
const fs = require('node:fs');
const Module = require('node:module');
const note = (name) => fs.appendFileSync(process.env.MODULE_LOG, name + '\\n');
const load = Module._load;
Module._load = function (name) { note(name); return load.apply(this, arguments); };
Module.register('./hooks.mjs', require('node:url').pathToFileURL(__filename));
`;
  const HOOKS = `
import fs from 'node:fs';
export async function resolve(name, context, next) {
  fs.appendFileSync(process.env.MODULE_LOG, name + '\\n');
  return next(name, context);
}
`;
  const HEAVY = ['koffi', 'undici', 'openpgp', 'lzma-native', 'ora', 'yaml'];

  async function modulesOf(args: readonly string[]): Promise<string[]> {
    await writeFile(join(folder.path, 'recorder.cjs'), RECORDER);
    await writeFile(join(folder.path, 'hooks.mjs'), HOOKS);
    await writeFile(join(folder.path, 'modules'), '');
    await tsbuilder(args, ['--require', join(folder.path, 'recorder.cjs')]);
    return (await readFile(join(folder.path, 'modules'), 'utf8')).split('\n');
  }

  it('is watched by a recorder that sees both kinds of modules', async () => {
    const modules = await modulesOf(['man']);
    expect(modules).toContain('@oclif/core');
    expect(modules).toContain('node:path');
    expect(modules).toContain('../ui/man-page.js');
  });

  it.each([
    ['the version', ['--version']],
    ['help', ['--help']],
    ['help of build', ['build', '--help']],
    ['help of a template', ['debian-12', '--help']],
    ['a usage error', ['debian-12', '--nope']],
    ['a wrong value', ['debian-12', '--size', 'x']],
    ['completion', ['completion', 'bash']],
    ['the manual page', ['man']],
  ])('loads nothing heavy for %s', async (_name, args) => {
    const modules = await modulesOf(args);
    expect(modules).toContain('@oclif/core');
    expect(modules.filter((name) => HEAVY.includes(name))).toEqual([]);
  });

  it('sets the size of the thread pool before anything uses it', async () => {
    const check = join(folder.path, 'check.cjs');
    await writeFile(
      check,
      `process.on('exit', () => console.error('pool', process.env.UV_THREADPOOL_SIZE));`,
    );
    const { stderr } = await tsbuilder(['--version'], ['--require', check]);
    expect(Number(/pool (\d+)/.exec(stderr)?.[1])).toBeGreaterThanOrEqual(8);
  });
});

describe('what the program prints about itself', () => {
  it.each(['bash', 'zsh', 'fish'])('is a completion script that %s accepts', async (shell) => {
    const { status, stdout } = await tsbuilder(['completion', shell]);
    expect(status).toBe(0);
    expect(stdout).toContain('--offline');
    await writeFile(join(folder.path, 'script'), stdout);
    const check = await new Promise<string>((resolve) => {
      execFile(shell, ['-n', join(folder.path, 'script')], (error, out, err) =>
        resolve(`${error?.message ?? ''}${out}${err}`),
      );
    });
    expect(check).toBe('');
  });

  it.each([
    ['bash', bashCompleter],
    ['zsh', zshCompleter],
    ['fish', fishCompleter],
  ])('completes its own commands and options in %s', async (shell, completer) => {
    const { stdout } = await tsbuilder(['completion', shell]);
    await using scratch = await scratchFolder();
    const complete = await completer(scratch.path, stdout);
    expect(await complete('tsbuilder comp')).toEqual(['completion']);
    expect(await complete('tsbuilder debian-12 --siz')).toEqual(['--size']);
    expect(await complete('tsbuilder --list --list-format ')).toEqual(['json', 'long', 'short']);
  });

  it('is a manual page without warnings', async () => {
    const { status, stdout } = await tsbuilder(['man']);
    expect(status).toBe(0);
    await writeFile(join(folder.path, 'tsbuilder.1'), stdout);
    const run = await new Promise<{ out: string; err: string }>((resolve) => {
      execFile(
        'groff',
        ['-man', '-Tutf8', '-ww', '-P-cbou', join(folder.path, 'tsbuilder.1')],
        (_error, out, err) => resolve({ out, err }),
      );
    });
    expect(run.err).toBe('');
    expect(run.out).toContain('tsbuilder build [NAME] [OPTION]...');
    const common = run.out.slice(run.out.indexOf('COMMON OPTIONS'), run.out.indexOf('COMMANDS'));
    for (const option of ['--quiet', '--verbose', '--json', '--help']) expect(common).toContain(option);
  });

  it('is the script as data with --json', async () => {
    const [json, plain] = await Promise.all([
      tsbuilder(['completion', 'fish', '--json']),
      tsbuilder(['completion', 'fish']),
    ]);
    const { shell, script } = JSON.parse(json.stdout) as { shell: string; script: string };
    expect(shell).toBe('fish');
    expect(script.trimEnd()).toBe(plain.stdout.trimEnd());
  });

  it('knows no other shell', async () => {
    const { status, stderr } = await tsbuilder(['completion', 'tcsh']);
    expect(status).toBe(2);
    expect(stderr).toContain('tcsh');
  });
});
