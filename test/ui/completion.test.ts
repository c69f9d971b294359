import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bashCompletion } from '../../src/ui/completion-bash.js';
import { fishCompletion } from '../../src/ui/completion-fish.js';
import { zshCompletion } from '../../src/ui/completion-zsh.js';
import { sampleFolder, sampleProgram, type SampleFolder } from './sample-program.js';
import { bashCompleter, fishCompleter, zshCompleter, type Complete } from './shells.js';

const COMMANDS = ['build', 'cache', 'completion', 'source', 'unxz'];
const TEMPLATES = ['debian-12', 'debian-13', 'fedora_40.1'];
const FORMATS = ['qcow2', 'raw', 'vmdk'];
const FILES = ['album', 'alpha beta.img', 'alpha.img'];

const shells = [
  { shell: 'bash', completer: bashCompleter, generate: bashCompletion },
  { shell: 'zsh', completer: zshCompleter, generate: zshCompletion },
  { shell: 'fish', completer: fishCompleter, generate: fishCompletion },
];

describe.each(shells)('completion in a real $shell', ({ completer, generate }) => {
  let folder: SampleFolder;
  let complete: Complete;

  beforeAll(async () => {
    folder = await sampleFolder();
    const inShell = await completer(folder.path, generate(sampleProgram));
    // Shells differ in whether they show `--option=`, the slash of folders and their own quoting: leave those away.
    complete = async (line) =>
      (await inShell(line)).map((text) => text.replace(/^--\w+=|\/$/g, '').replaceAll('\\', '')).sort();
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  it.each([
    ['tsbuilder ', [...COMMANDS, ...TEMPLATES].sort()],
    ['tsbuilder c', ['cache', 'completion']],
    ['tsbuilder deb', ['debian-12', 'debian-13']],
    ['tsbuilder build ', TEMPLATES],
    ['tsbuilder --size 10G ', TEMPLATES],
    ['tsbuilder -vs 10G ', TEMPLATES],
    ['tsbuilder -s10G ', TEMPLATES],
    ['tsbuilder --format=raw -- fed', ['fedora_40.1']],
    ['tsbuilder cache ', ['fetch', 'list']],
    ['tsbuilder source ', ['add']],
    ['tsbuilder cache fetch debian-12 f', ['fedora_40.1']],
    ['tsbuilder completion ', ['bash', 'fish', 'zsh']],
  ])('offers the words of %j', async (line, expected) => {
    expect(await complete(line)).toEqual(expected);
  });

  it.each([
    ['tsbuilder build debian-12 --format ', FORMATS],
    ['tsbuilder debian-12 --format ', FORMATS],
    ['tsbuilder --format=', FORMATS],
    ['tsbuilder debian-12 --format=q', ['qcow2']],
    ['tsbuilder debian-12 --base d', []],
    ['tsbuilder debian-12 -o al', FILES],
    ['tsbuilder debian-12 --output=al', FILES],
    ['tsbuilder unxz al', FILES],
    ['tsbuilder unxz -- al', FILES],
    ['tsbuilder --cache al', ['album']],
    ['tsbuilder --size ', []],
    ['tsbuilder --source a', []],
    ['tsbuilder source add deb', []],
  ])('offers the values of %j', async (line, expected) => {
    expect(await complete(line)).toEqual(expected);
  });

  it.each([
    ['tsbuilder debian-12 --s', ['--size', '--source', '--sync']],
    ['tsbuilder debian-12 --no', ['--no-sync']],
    ['tsbuilder --v', ['--verbose', '--version']],
    ['tsbuilder cache list --', ['--help', '--verbose']],
    ['tsbuilder cache fetch debian-12 --', ['--help']],
  ])('offers the options of %j', async (line, expected) => {
    expect(await complete(line)).toEqual(expected);
  });

  it('runs and expands nothing that a source or a description says', async () => {
    expect(await complete('tsbuilder debian-12 --out')).toEqual(['--output']);
    expect(await complete('tsbuilder ')).not.toContain("deb'quote");
    expect(existsSync(join(folder.path, 'pwned'))).toBe(false);
  });
});

describe('descriptions', () => {
  it('are shown by fish and zsh', () => {
    expect(fishCompletion(sampleProgram)).toContain(String.raw`-d 'the user\'s file; ` + "`rm` $(id)'");
    expect(zshCompletion(sampleProgram)).toContain(String.raw`[size \[of\] the disk\: 10G]`);
  });
});
