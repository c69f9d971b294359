import { describe, expect, it } from 'vitest';
import { nextWords, programModel, topicPaths } from '../../src/ui/command-model.js';
import { sampleCommands, sampleProgram } from './sample-program.js';

const build = sampleProgram.defaultCommand;
const option = (long: string) => build.options.find((candidate) => candidate.long === long);

describe('programModel', () => {
  it('has the visible commands in order, without aliases', () => {
    expect(sampleProgram.commands.map(({ words }) => words.join(' '))).toEqual([
      'build',
      'cache fetch',
      'cache list',
      'completion',
      'source add',
      'unxz',
    ]);
  });

  it('knows what values are', () => {
    expect(option('format')?.value).toEqual({
      label: 'FORMAT',
      kind: 'choice',
      choices: ['raw', 'qcow2', 'vmdk'],
    });
    expect(option('compress')?.value?.choices).toEqual(['zlib', 'zstd']);
    expect(option('size')?.value).toEqual({ label: 'SIZE', kind: 'none', choices: [] });
    expect(option('output')?.value?.kind).toBe('file');
    expect(option('cache')?.value?.kind).toBe('folder');
    expect(option('base')?.value?.kind).toBe('none');
    expect(option('source')).toMatchObject({ repeatable: true, value: { label: 'URL', kind: 'none' } });
  });

  it('has switches with their negation and --help, and no hidden options', () => {
    expect(option('sync')?.value).toBeUndefined();
    expect(option('no-sync')?.value).toBeUndefined();
    expect(option('help')?.short).toBe('h');
    expect(option('secret')).toBeUndefined();
  });

  it('knows what arguments are', () => {
    expect(build.args).toMatchObject([
      { label: 'NAME', kind: 'template', required: false, repeatable: false },
    ]);
    const [fetch] = sampleProgram.commands.filter(({ words }) => words[1] === 'fetch');
    expect(fetch?.args).toMatchObject([{ kind: 'template', required: true, repeatable: true }]);
    const [unxz] = sampleProgram.commands.filter(({ words }) => words[0] === 'unxz');
    expect(unxz?.args.map(({ kind }) => kind)).toEqual(['file', 'file']);
  });

  it('takes the name of a source for no template', () => {
    const [add] = sampleProgram.commands.filter(({ words }) => words[0] === 'source');
    expect(add?.args.map(({ kind }) => kind)).toEqual(['none', 'none']);
  });

  it('renders the texts and reads both forms of examples', () => {
    expect(build.description).toBe('Builds a disk with tsbuilder.');
    expect(build.examples).toEqual([
      { description: '', line: 'tsbuilder debian-12 --size 10G' },
      { description: 'As qcow2:', line: 'tsbuilder build debian-12 --format qcow2' },
    ]);
  });

  it('needs the default command', () => {
    const commands = sampleCommands.filter(({ id }) => id !== 'build');
    expect(() => programModel({ bin: 't', version: '1', pjson: {}, commands })).toThrow('no command build');
  });
});

describe('nextWords and topicPaths', () => {
  it('lead to every command', () => {
    expect(topicPaths(sampleProgram)).toEqual([[], ['cache'], ['source']]);
    expect(nextWords(sampleProgram, []).map(({ word }) => word)).toEqual([
      'build',
      'cache',
      'completion',
      'source',
      'unxz',
    ]);
    expect(nextWords(sampleProgram, ['cache'])).toEqual([
      { word: 'fetch', description: 'Fetch templates' },
      { word: 'list', description: 'List cached templates' },
    ]);
    expect(nextWords(sampleProgram, ['unxz'])).toEqual([]);
  });
});
