import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const SRC = join(import.meta.dirname, '..', 'src');

/** What each folder of src/ may import besides itself; the ground (io, errors, progress, probe) is open to all. */
const GROUND = ['io', 'errors', 'progress', 'probe'];
const FORMATS = ['xz', 'gzip', 'zstd', 'image', 'guest', 'segment-cache'];
const DOMAIN = ['index-repo', 'resize', 'customize', 'nbd'];
const ALLOWED: Record<string, readonly string[]> = {
  errors: [],
  progress: [],
  io: ['errors', 'progress'],
  probe: ['io', 'errors', 'progress'],
  ...Object.fromEntries(FORMATS.map((folder) => [folder, GROUND])),
  ...Object.fromEntries(DOMAIN.map((folder) => [folder, [...FORMATS, ...GROUND]])),
  build: [...DOMAIN, ...FORMATS, ...GROUND],
  serve: ['build', ...DOMAIN, ...FORMATS, ...GROUND],
  publish: ['build', ...DOMAIN, ...FORMATS, ...GROUND],
};
const SHELL = ['main', 'base-command', 'flags', 'commands', 'ui'];

/** Foreign packages with one owner. */
const OWNERS: Record<string, readonly string[]> = {
  '@oclif/core': SHELL,
  ora: ['ui'],
  openpgp: ['index-repo'],
  'lzma-native': ['xz'],
  koffi: ['io/native.ts'],
  undici: ['io'],
  '@aws-sdk/client-s3': ['publish'],
};

interface Import {
  readonly file: string;
  readonly target: string;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  const pattern = /(?:from\s+|import\s*\(?\s*|require\)?\(\s*)'([^']+)'/g;
  return [...text.matchAll(pattern)].map((match) => ({ file: relative(SRC, file), target: match[1]! }));
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.c?ts$/.test(name))
  .map((name) => join(SRC, name));
const imports = files.flatMap(importsOf);

const layerOf = (file: string): string => (file.split('/')[0] ?? '').replace(/\.c?ts$/, '');

describe('import graph', () => {
  it('sees the sources', () => {
    expect(files.length).toBeGreaterThan(5);
    expect(imports.length).toBeGreaterThan(5);
  });

  it('has dependencies that only point down', () => {
    const wrong = imports
      .filter(({ target }) => target.startsWith('.'))
      .filter(({ file, target }) => {
        const from = layerOf(file);
        const to = layerOf(relative(SRC, join(SRC, file, '..', target)).replace(/\.c?js$/, ''));
        return from !== to && !SHELL.includes(from) && !(ALLOWED[from] ?? []).includes(to);
      });
    expect(wrong).toEqual([]);
  });

  it('keeps each foreign library with its owner', () => {
    const wrong = imports.filter(({ file, target }) => {
      const owners = OWNERS[target];
      return owners !== undefined && !owners.includes(layerOf(file)) && !owners.includes(file);
    });
    expect(wrong).toEqual([]);
  });

  it('has default exports only in commands', () => {
    const wrong = files.filter(
      (file) =>
        !relative(SRC, file).startsWith('commands/') && /^export default /m.test(readFileSync(file, 'utf8')),
    );
    expect(wrong).toEqual([]);
  });
});
