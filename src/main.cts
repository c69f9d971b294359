#!/usr/bin/env node
// CommonJS, because the libuv pool takes its size from the environment at its first use, and the loader of ES modules
// is already a user of it.
import fs = require('node:fs');
import os = require('node:os');
import path = require('node:path');

process.env['UV_THREADPOOL_SIZE'] ??= String(Math.max(8, os.availableParallelism() + 4));
// oclif would load all of semver at each start, to see whether Node is new enough for oclif: a version that we do not run on.
process.env['OCLIF_DISABLE_ENGINE_WARNING'] ??= '1';

const root = path.join(__dirname, '..');

/** First words of all commands, from the manifest, or from the folder of commands when there is no manifest yet. */
function commandWords(): string[] {
  try {
    const manifest = JSON.parse(fs.readFileSync(path.join(root, 'oclif.manifest.json'), 'utf8')) as {
      commands: object;
    };
    return Object.keys(manifest.commands).map((id) => id.split(':')[0] ?? id);
  } catch {
    return fs.readdirSync(path.join(__dirname, 'commands')).map((name) => name.replace(/\..*$/, ''));
  }
}

/** `tsbuilder NAME ...` and `tsbuilder --list` are the build command: its name is put in front. `help X` is `X --help`. */
function withDefaultCommand(argv: readonly string[]): string[] {
  const first = argv[0];
  if (first === 'help') return withDefaultCommand([...argv.slice(1), '--help']);
  const general = ['--help', '-h', '--version', '-V'];
  if (first === undefined || general.includes(first) || commandWords().includes(first)) return [...argv];
  return ['build', ...argv];
}

let told = false;

/** Help and the version are printed where no command looks after the output yet: a full disk is told in one line, once. */
async function tellOfOutput(error: NodeJS.ErrnoException): Promise<void> {
  if (error.code === 'EPIPE' || told) return;
  told = true;
  const { writeError } = await import('./io/free-space.js');
  const { formatFailure, toFailure } = await import('./ui/failure.js');
  const { signal } = new AbortController();
  const failure = toFailure(writeError('standard output', error) as Error, {
    help: 'tsbuilder --help',
    signal,
  });
  if (!failure) return;
  process.exitCode = failure.exit;
  process.stderr.write(formatFailure(failure, { debug: process.env['DEBUG'] !== undefined }));
}

// oclif prints help from process.argv, so that is what changes.
process.argv.splice(2, process.argv.length, ...withDefaultCommand(process.argv.slice(2)));

void import('@oclif/core').then(({ execute }) => {
  // oclif's own listener throws where nobody can catch it. A command puts another one in the place of this.
  process.stdout.removeAllListeners('error').on('error', (error: Error) => void tellOfOutput(error));
  return execute({ dir: __dirname });
});
