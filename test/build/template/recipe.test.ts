import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toJsonSchema } from '@valibot/to-json-schema';
import fc from 'fast-check';
import { format } from 'prettier';
import { describe, expect, it } from 'vitest';
import { templateEpoch, templateIdentity } from '../../../src/build/template/identity.js';
import { parseTargets, proxyFor, replaceMirror } from '../../../src/build/template/mirror.js';
import { loadAllRecipes, loadRecipe, parseRecipe, recipeNames } from '../../../src/build/template/recipe.js';
import { recipeSchema } from '../../../src/build/template/schema.js';
import { TsbuilderError } from '../../../src/errors.js';

const MINIMAL = `name: mini
fullName: Mini
arch: x86_64
layout: gpt-uefi
size: 2GiB
debian:
  suite: bookworm
  architecture: amd64
  sources:
    - deb http://deb.debian.org/debian bookworm main
`;

/** The minimal recipe with a key of its archive that is right but for `changes`. */
function withKey(changes: Readonly<Record<string, string>>): string {
  const right = {
    ...{ fingerprint: 'F6ECB3762474EDA9D21B7022871920D1991BC93C', keyring: '/usr/share/keyrings/k.gpg' },
    package: 'pool/main/k/keys/keys_1_all.deb',
  };
  return `${MINIMAL}  archiveKey: ${JSON.stringify({ ...right, ...changes })}\n`;
}

async function faultOf(text: string): Promise<TsbuilderError> {
  const error: unknown = await parseRecipe('r.yaml', text).catch((reason: unknown) => reason);
  if (!(error instanceof TsbuilderError)) throw new Error('no fault found', { cause: error });
  return error;
}

describe('recipes', () => {
  it('come with the program, each under its own name', async () => {
    const names = await recipeNames();
    expect(names).toContain('debian-12');
    for (const name of names) expect((await loadRecipe(name)).name).toBe(name);
    const all = await loadAllRecipes();
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  });

  it('name the key of an archive that Debian machines do not know', async () => {
    expect(await parseRecipe('r.yaml', withKey({}))).toMatchObject({
      debian: { archiveKey: { keyring: '/usr/share/keyrings/k.gpg' } },
    });
    const { debian, layouts } = await loadRecipe('ubuntu-24.04');
    expect(debian.archiveKey).toEqual({
      fingerprint: 'F6ECB3762474EDA9D21B7022871920D1991BC93C',
      keyring: '/usr/share/keyrings/ubuntu-archive-keyring.gpg',
      package: expect.stringMatching(/^pool\/main\/u\/ubuntu-keyring\/ubuntu-keyring_.*_all\.deb$/) as string,
    });
    expect(debian.sources.map((line) => line.split(' ').slice(2).join(' '))).toEqual([
      ...['noble main universe', 'noble-updates main universe', 'noble-security main universe'],
    ]);
    expect(layouts).toEqual(['gpt-uefi', 'mbr-swap-last', 'lvm', 'xfs']);
  });

  it('have a JSON schema that is up to date', async () => {
    const schema = toJsonSchema(recipeSchema, { typeMode: 'input', errorMode: 'ignore' });
    const text = JSON.stringify({ title: 'A recipe for tsbuilder template build', ...schema });
    await expect(await format(text, { parser: 'json', printWidth: 110 })).toMatchFileSnapshot(
      join(import.meta.dirname, '../../../docs/recipe.schema.json'),
    );
  });

  it('in another layout than their usual one are named after it, and have what it needs', async () => {
    const text = `${MINIMAL}aliases: [small]
layouts:
  gpt-uefi: { packages: [shim], preseed: [a b c d] }
  mbr-swap-last: { packages: [grub-pc] }
`;
    expect(await parseRecipe('r.yaml', text)).toMatchObject({
      ...{ name: 'mini', fullName: 'Mini', aliases: ['small'], layout: 'gpt-uefi' },
      layouts: ['gpt-uefi', 'mbr-swap-last'],
      debian: { packages: ['shim'], preseed: ['a b c d'] },
    });
    expect(await parseRecipe('r.yaml', text, 'mbr-swap-last')).toMatchObject({
      ...{ name: 'mini-mbr-swap-last', fullName: 'Mini, mbr-swap-last', aliases: ['small-mbr-swap-last'] },
      ...{ layout: 'mbr-swap-last', layouts: ['gpt-uefi', 'mbr-swap-last'] },
      debian: { packages: ['grub-pc'], preseed: [] },
    });
    await expect(parseRecipe('r.yaml', MINIMAL, 'mbr-swap-last')).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      message: 'r.yaml: has no layout mbr-swap-last',
      hint: 'It has: gpt-uefi.',
    });
  });

  it('get defaults and sizes in bytes', async () => {
    expect(await parseRecipe('r.yaml', MINIMAL)).toMatchObject({
      size: 2 * 1024 ** 3,
      hostname: 'localhost',
      files: [],
      script: '',
      debian: { variant: 'minbase', packages: [], preseed: [] },
      path: 'r.yaml',
      text: MINIMAL,
    });
  });

  it('are read from a path too', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tsb-recipe-'));
    try {
      const path = join(folder, 'mine.yaml');
      await writeFile(path, MINIMAL);
      expect((await loadRecipe(path)).name).toBe('mini');
      await expect(loadRecipe(join(folder, 'other.yaml'))).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('that do not exist are named, with those that do', async () => {
    await expect(loadRecipe('plan9')).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      hint: expect.stringContaining('debian-12') as string,
    });
  });

  it.each([
    ['a misspelt field', `${MINIMAL}notess: x\n`, /line 11, column 9: notess: /],
    ['a number for text', MINIMAL.replace('Mini\n', '22.04\n'), /line 2, column 11: fullName: .*quotes/],
    ['a missing field', MINIMAL.replace('layout: gpt-uefi\n', ''), /layout/],
    ['an unknown layout', MINIMAL.replace('gpt-uefi', 'floppy'), /line 4, column 9: layout/],
    ['a size without unit', MINIMAL.replace('2GiB', '2'), /line 5, column 7: size/],
    ['a name that is a path', MINIMAL.replace('name: mini', 'name: ../mini'), /line 1, column 7: name/],
    ['a name that is an option', MINIMAL.replace('bookworm\n', '--hook\n'), /debian\.suite/],
    ['an option for a package', `${MINIMAL}  packages: ['--evil']\n`, /debian\.packages\.0/],
    ['a relative file', `${MINIMAL}files: [{path: etc/x, content: ''}]\n`, /files\.0\.path/],
    ['a file that climbs', `${MINIMAL}files: [{path: /etc/../../x, content: ''}]\n`, /files\.0\.path/],
    [
      'a mode without quotes',
      `${MINIMAL}files: [{path: /x, content: '', mode: 0755}]\n`,
      /files\.0\.mode: .*quotes/,
    ],
    ['a kernel argument with a quote', `${MINIMAL}kernelArguments: ["a'b"]\n`, /kernelArguments\.0/],
    ['a short key id', withKey({ fingerprint: '871920D1991BC93C' }), /archiveKey\.fingerprint: .*40 hex/],
    ['a key package elsewhere', withKey({ package: 'http://example.com/k.deb' }), /archiveKey\.package/],
    ['a key package that climbs', withKey({ package: 'pool/../../k.deb' }), /archiveKey\.package/],
    ['a keyring that is no path', withKey({ keyring: 'k.gpg' }), /archiveKey\.keyring/],
    ['no YAML', 'name: [', /line 1/],
    ['a list', '- a\n', /line 1/],
    ['nothing', '', /line 1/],
  ])('with %s are refused, and where is said', async (_, text, message) => {
    const fault = await faultOf(text);
    expect(fault.code).toBe('TSB_RECIPE_INVALID');
    expect(fault.message).toMatch(message);
    expect(fault.message).toMatch(/^r\.yaml: /);
  });

  it('with a bomb of aliases are refused', async () => {
    const levels = Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i}, `.repeat(9)}]`);
    expect((await faultOf(['a0: &a0 [x]', ...levels].join('\n'))).code).toBe('TSB_RECIPE_INVALID');
  });

  it('of any text are read or refused, never anything else', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 200 }), async (text) => {
        expect((await faultOf(text)).code).toBe('TSB_RECIPE_INVALID');
      }),
      { numRuns: 200 },
    );
  });
});

describe('templateIdentity', () => {
  it('gives the same for the same recipe and time, and other for other purposes', () => {
    const one = templateIdentity('text', 1);
    expect(one.uuid('disk')).toBe(templateIdentity('text', 1).uuid('disk'));
    const uuids = [one.uuid('disk'), one.uuid('root'), templateIdentity('text', 2).uuid('disk')];
    expect(new Set([...uuids, templateIdentity('texu', 1).uuid('disk')]).size).toBe(4);
    for (const uuid of uuids)
      expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(one.volumeId('esp')).toMatch(/^[0-9A-F]{8}$/);
  });
});

describe('templateEpoch', () => {
  it('is SOURCE_DATE_EPOCH, else now', () => {
    expect(templateEpoch({ SOURCE_DATE_EPOCH: '1700000000' })).toBe(1_700_000_000);
    expect(templateEpoch({}, 1_700_000_000_999)).toBe(1_700_000_000);
  });

  it.each(['yesterday', '-1', '1.5', '4294967296', '1700000000 '])('refuses %j', (text) => {
    expect(() => templateEpoch({ SOURCE_DATE_EPOCH: text })).toThrow(/SOURCE_DATE_EPOCH/);
  });
});

describe('mirrors', () => {
  const archive = 'deb http://deb.debian.org/debian bookworm main contrib';
  const security = 'deb http://security.debian.org/debian-security bookworm-security main';
  const own = parseTargets(
    'http://mirror.lan/debian/ bookworm bookworm\nfile:/srv/debian bookworm-security x\n',
  );

  it('are those asked for, by kind of suite', () => {
    const mirrors = { mirror: 'http://m/d', securityMirror: 'http://s/d' };
    expect(replaceMirror(archive, mirrors, own)).toBe('deb http://m/d bookworm main contrib');
    expect(replaceMirror(security, mirrors, own)).toBe('deb http://s/d bookworm-security main');
  });

  it("are else this machine's, where they are plain web addresses, else the recipe's", () => {
    expect(replaceMirror(archive, {}, own)).toBe('deb http://mirror.lan/debian bookworm main contrib');
    expect(replaceMirror(security, {}, own)).toBe(security);
  });

  it("are asked through the proxy of this machine's apt", () => {
    const lines = [
      'Acquire::http::Proxy "http://proxy.lan:3142";',
      'Acquire::http::Proxy::near.lan "DIRECT";',
      'Acquire::https::Proxy::far.lan "http://other.lan:1";',
    ];
    expect(proxyFor('http://archive.ubuntu.com/x.deb', lines)).toBe('http://proxy.lan:3142');
    expect(proxyFor('http://near.lan/x.deb', lines)).toBe('no');
    expect(proxyFor('https://far.lan/x.deb', lines)).toBe('http://other.lan:1');
    expect(proxyFor('https://archive.ubuntu.com/x.deb', lines)).toBeUndefined();
    expect(proxyFor('/srv/mirror/x.deb', lines)).toBeUndefined();
  });

  it('never take along a password', () => {
    expect(parseTargets('https://me:secret@mirror.lan/debian bookworm\n').size).toBe(0);
  });
});
