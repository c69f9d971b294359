import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  formatEntry,
  formatIndex,
  sectionsOf,
  splitIndex,
  toSection,
} from '../../src/index-repo/publish-entry.js';
import { type Repository, addTemplate, ensureRepository, makeKeyFile } from '../../src/index-repo/publish.js';
import { asWriter } from '../../src/index-repo/publish-lock.js';
import { type NewTemplate, publishTemplate } from '../../src/index-repo/publish-template.js';
import { openFileSource } from '../../src/io/file-source.js';
import { parseBlockMap } from '../../src/xz/block-map.js';
import { readVerifiedIndex } from '../../src/xz/check-block-map.js';

const run = promisify(execFile);

let home: string;
let repository: Repository;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'tsb-publish-'));
  repository = await ensureRepository(place());
});
afterEach(() => rm(home, { recursive: true, force: true }));

const place = () => ({ dir: join(home, 'repository'), secretKeyPath: join(home, 'keys', 'repository.asc') });

/** A template of one MiB of zeros as a real xz file, different each time. */
async function newTemplate(fields: Partial<NewTemplate> = {}): Promise<NewTemplate> {
  const raw = join(home, `raw-${randomBytes(6).toString('hex')}`);
  await writeFile(raw, Buffer.concat([Buffer.alloc(1 << 20), randomBytes(512)]));
  await run('xz', ['--check=crc64', raw]);
  return {
    name: 'mini-1',
    fullName: 'Mini 1',
    osinfo: 'mini1',
    arch: 'x86_64',
    format: 'raw',
    size: (1 << 20) + 512,
    expand: '/dev/sda1',
    notes: { '': 'First line.\n\n  Second, after a gap.\n', fr: 'Une ligne.' },
    aliases: ['mini', 'small'],
    ...fields,
    xzPath: `${raw}.xz`,
  };
}

const visible = async (): Promise<string[]> =>
  (await readdir(repository.dir)).filter((name) => !name.startsWith('.')).sort();

async function inKeyring<T>(action: (gnupgHome: string) => Promise<T>): Promise<T> {
  const gnupgHome = await mkdtemp(join(tmpdir(), 'tsb-gpg-'));
  try {
    await run('gpg', ['--homedir', gnupgHome, '--batch', '--import', repository.publicKeyPath]);
    return await action(gnupgHome);
  } finally {
    await run('gpgconf', ['--homedir', gnupgHome, '--kill', 'all']).catch(() => undefined);
    await rm(gnupgHome, { recursive: true, force: true });
  }
}

describe('ensureRepository', () => {
  it('makes a key that only its owner can read, and keeps it', async () => {
    expect((await stat(repository.secretKeyPath)).mode & 0o777).toBe(0o600);
    expect((await stat(join(home, 'keys'))).mode & 0o777).toBe(0o700);
    expect(repository.fingerprint).toMatch(/^[0-9A-F]{40}$/);
    expect(await readFile(repository.publicKeyPath, 'utf8')).toMatch(/^-----BEGIN PGP PUBLIC KEY BLOCK-----/);
    expect((await ensureRepository(place())).fingerprint).toBe(repository.fingerprint);
  });

  it('makes one key when several processes begin at once', async () => {
    const other = { dir: join(home, 'r2'), secretKeyPath: join(home, 'k2', 'repository.asc') };
    const all = await Promise.all(Array.from({ length: 5 }, () => ensureRepository(other)));
    expect(new Set(all.map(({ fingerprint }) => fingerprint)).size).toBe(1);
  });

  it('refuses to go on with a new key over a signed index', async () => {
    await addTemplate(repository, await newTemplate());
    await rm(repository.secretKeyPath);
    await expect(ensureRepository(place())).rejects.toMatchObject({ code: 'TSB_KEY_INVALID' });
  });

  it('says when the key file is no key', async () => {
    await writeFile(repository.secretKeyPath, 'not a key');
    await expect(ensureRepository(place())).rejects.toMatchObject({ code: 'TSB_KEY_INVALID' });
  });

  it('writes the public key again when it is lost', async () => {
    const before = await readFile(repository.publicKeyPath, 'utf8');
    await rm(repository.publicKeyPath);
    await ensureRepository(place());
    expect(await readFile(repository.publicKeyPath, 'utf8')).toBe(before);
  });
});

describe('addTemplate', () => {
  it('moves the file in and describes it', async () => {
    const template = await newTemplate();
    const content = await readFile(template.xzPath);
    const result = await addTemplate(repository, template);
    const sha512 = createHash('sha512').update(content).digest('hex');
    expect(result).toMatchObject({ sha512, compressedSize: content.length, revision: 1, changed: true });
    expect(await visible()).toEqual([
      'index.asc',
      'key.asc',
      'mini-1-x86_64.r1.xz',
      'mini-1-x86_64.r1.xz.blocks',
    ]);
    expect(await readFile(result.path)).toEqual(content);
    await expect(stat(template.xzPath)).rejects.toMatchObject({ code: 'ENOENT' });
    const index = await readFile(repository.indexPath, 'utf8');
    const map = await readFile(`${result.path}.blocks`);
    expect(index).not.toContain('\r');
    expect(index).toContain(
      [
        '[mini-1]',
        'name=Mini 1',
        'osinfo=mini1',
        'file=mini-1-x86_64.r1.xz',
        'arch=x86_64',
        `checksum[sha512]=${sha512}`,
        'revision=1',
        'format=raw',
        `size=${(1 << 20) + 512}`,
        `compressed_size=${content.length}`,
        'blocks=mini-1-x86_64.r1.xz.blocks',
        `blocks[sha512]=${createHash('sha512').update(map).digest('hex')}`,
        'expand=/dev/sda1',
        'notes=First line.',
        '   Second, after a gap.',
        'notes[fr]=Une ligne.',
        'aliases=mini small',
        '',
        '-----BEGIN PGP SIGNATURE-----',
      ].join('\n'),
    );
  });

  it('writes the block map of the file beside it', async () => {
    const { path, sha512, compressedSize } = await addTemplate(repository, await newTemplate());
    const map = parseBlockMap(await readFile(`${path}.blocks`), path);
    expect(map).toMatchObject({ sha512, size: compressedSize });
    await using source = await openFileSource(path);
    expect((await readVerifiedIndex(source, map)).uncompressedSize).toBe((1 << 20) + 512);
  });

  it('takes in nothing that is no whole xz file', async () => {
    const template = await newTemplate();
    await truncate(template.xzPath, 500);
    await expect(addTemplate(repository, template)).rejects.toMatchObject({ code: 'TSB_XZ_CORRUPT' });
    expect(await visible()).toEqual(['key.asc']);
  });

  it('keeps the revision of the same content and raises it for new content, whose predecessor goes', async () => {
    const template = await newTemplate();
    const copy = join(home, 'copy.xz');
    await writeFile(copy, await readFile(template.xzPath));
    await addTemplate(repository, template);
    const again = await addTemplate(repository, { ...template, xzPath: copy, fullName: 'Renamed' });
    expect(again).toMatchObject({ revision: 1, changed: false });
    expect(await readFile(repository.indexPath, 'utf8')).toContain('name=Renamed\n');
    expect(await addTemplate(repository, await newTemplate())).toMatchObject({ revision: 2, changed: true });
    expect(await visible()).toEqual([
      'index.asc',
      'key.asc',
      'mini-1-x86_64.r2.xz',
      'mini-1-x86_64.r2.xz.blocks',
    ]);
  });

  it('holds several templates and architectures, and leaves the others as they were', async () => {
    await addTemplate(repository, await newTemplate());
    await addTemplate(repository, await newTemplate({ arch: 'aarch64' }));
    await addTemplate(repository, await newTemplate({ name: 'other' }));
    const before = splitIndex(await readFile(repository.indexPath, 'utf8'));
    await addTemplate(repository, await newTemplate({ arch: 'aarch64' }));
    const after = splitIndex(await readFile(repository.indexPath, 'utf8'));
    expect(after.map(({ name, arch, revision }) => [name, arch, revision])).toEqual([
      ['mini-1', 'x86_64', 1],
      ['mini-1', 'aarch64', 2],
      ['other', 'x86_64', 1],
    ]);
    expect(after[0]).toEqual(before[0]);
  });

  it('tells whom it waits for', async () => {
    const template = await newTemplate();
    const warned: string[] = [];
    let added: Promise<unknown> = Promise.resolve();
    await asWriter(
      repository.dir,
      {},
      () =>
        new Promise<void>((release) => {
          const warn = (message: string): void => {
            warned.push(message);
            release();
          };
          added = addTemplate(repository, template, { warn });
        }),
    );
    expect(await added).toMatchObject({ revision: 1 });
    expect(warned[0]).toContain(`is being worked on by process ${process.pid}`);
  });

  it('loses nothing when several write at once', async () => {
    const templates = await Promise.all(
      Array.from({ length: 6 }, (_, index) => newTemplate({ name: `t${index}` })),
    );
    await Promise.all(templates.map((template) => addTemplate(repository, template)));
    const sections = splitIndex(await readFile(repository.indexPath, 'utf8'));
    expect(sections.map(({ name }) => name).sort()).toEqual(['t0', 't1', 't2', 't3', 't4', 't5']);
  });

  it('never signs an index again that something else has changed', async () => {
    await addTemplate(repository, await newTemplate());
    const index = await readFile(repository.indexPath, 'utf8');
    const forged = index.replace('name=Mini 1', 'name=Evil 1');
    await writeFile(repository.indexPath, forged);
    const template = await newTemplate();
    await expect(addTemplate(repository, template)).rejects.toMatchObject({ code: 'TSB_SIGNATURE_BAD' });
    expect(await readFile(repository.indexPath, 'utf8')).toBe(forged);
    expect((await stat(template.xzPath)).isFile()).toBe(true);
  });

  it.each([
    ['name', { name: '../evil' }],
    ['name', { name: '.hidden' }],
    ['arch', { arch: 'x86/64' }],
    ['fullName', { fullName: 'two\nlines' }],
    ['expand', { expand: '/dev/sda1\nfile=other' }],
    ['aliases', { aliases: ['a b'] }],
    ['notes', { notes: { 'a]b': 'x' } }],
    ['notes', { notes: { '': 'bell\u0007' } }],
    ['size', { size: -1 }],
  ])('refuses a %s that the grammar cannot hold', async (field, fields) => {
    const template = await newTemplate(fields);
    await expect(addTemplate(repository, template)).rejects.toMatchObject({
      code: 'TSB_INDEX_INVALID',
      details: { field },
    });
    expect(await visible()).toEqual(['key.asc']);
  });

  it('takes away files that no index names, and only those', async () => {
    await addTemplate(repository, await newTemplate());
    await writeFile(join(repository.dir, 'mini-1-x86_64.r7.xz'), 'left by a crash');
    await writeFile(join(repository.dir, 'mini-1-x86_64.r7.xz.blocks'), 'left by a crash');
    await writeFile(join(repository.dir, 'README.txt'), "the user's own");
    await addTemplate(repository, await newTemplate());
    expect(await visible()).toEqual([
      'README.txt',
      'index.asc',
      'key.asc',
      'mini-1-x86_64.r2.xz',
      'mini-1-x86_64.r2.xz.blocks',
    ]);
  });

  it('leaves the old repository when the index cannot be written', async () => {
    const signer = await makeKeyFile(join(home, 'broken.asc'), 'broken');
    const broken = { ...signer, sign: () => Promise.reject(new Error('no agent')) };
    const publisher = { dir: repository.dir, signers: [broken], keep: 0 };
    await expect(publishTemplate(publisher, await newTemplate())).rejects.toThrow('no agent');
    expect(await visible()).toEqual(['key.asc']);
  });
});

describe('judges that we did not write', () => {
  it('gpg accepts the signature, with SHA-512', async () => {
    await addTemplate(repository, await newTemplate());
    const { stdout } = await inKeyring((gnupgHome) =>
      run('gpg', ['--homedir', gnupgHome, '--batch', '--status-fd', '1', '--verify', repository.indexPath]),
    );
    const valid = /VALIDSIG (\S+) \S+ \d+ \S+ \S+ \S+ \S+ (\d+)/.exec(stdout);
    expect(valid?.[1]).toBe(repository.fingerprint);
    expect(valid?.[2]).toBe('10');
  });

  it('virt-builder lists it', async () => {
    await addTemplate(repository, await newTemplate());
    await addTemplate(repository, await newTemplate({ name: 'other', aliases: [] }));
    const { stdout } = await inKeyring((gnupgHome) =>
      run(
        'virt-builder',
        [
          ...['--source', `file://${repository.indexPath}`, '--fingerprint', repository.fingerprint],
          ...['--list', '--list-format', 'json'],
        ],
        {
          env: { ...process.env, GNUPGHOME: gnupgHome, VIRT_BUILDER_DIRS: home, XDG_CONFIG_HOME: home },
        },
      ),
    );
    const list = JSON.parse(stdout) as { templates: Record<string, unknown>[] };
    expect(list.templates).toEqual([
      expect.objectContaining({
        'os-version': 'mini-1',
        'full-name': 'Mini 1',
        arch: 'x86_64',
        size: (1 << 20) + 512,
        aliases: ['mini', 'small'],
        notes: { C: 'First line.\n  Second, after a gap.', fr: 'Une ligne.' },
      }),
      expect.objectContaining({ 'os-version': 'other' }),
    ]);
  });

  it('virt-index-validate finds no fault', async () => {
    await addTemplate(repository, await newTemplate());
    const { stderr } = await run('virt-index-validate', [repository.indexPath]);
    expect(stderr).toBe('');
  });
});

describe('formatIndex and splitIndex', () => {
  const text = fc
    .string({ unit: 'grapheme', maxLength: 30 })
    .map((s) => s.replace(/[\p{Cc}\u2028\u2029]/gu, ''));
  const fields = fc.record({
    name: fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/),
    fullName: text,
    arch: fc.constantFrom('x86_64', 'aarch64'),
    format: fc.constantFrom('raw' as const, 'qcow2' as const),
    size: fc.integer({ min: 1 }),
    notes: fc.record({ '': fc.array(text).map((lines) => lines.join('\n')) }),
    file: fc.stringMatching(/^[a-z]{1,20}\.xz$/),
    sha512: fc.stringMatching(/^[0-9a-f]{128}$/),
    revision: fc.integer({ min: 1 }),
    compressedSize: fc.integer({ min: 1 }),
    blocks: fc.stringMatching(/^[a-z]{1,20}\.xz\.blocks$/),
    blocksSha512: fc.stringMatching(/^[0-9a-f]{128}$/),
  });

  it('are inverse, whatever the notes hold', () => {
    fc.assert(
      fc.property(fc.array(fields), (entries) => {
        const sections = entries.map((entry) => toSection(formatEntry(entry)));
        const index = formatIndex(sections);
        expect(splitIndex(index)).toEqual(sections);
        expect(
          sections.map(({ name, file, sha512, blocks, revision }) => ({
            name,
            file,
            sha512,
            blocks,
            revision,
          })),
        ).toEqual(
          entries.map(({ name, file, sha512, blocks, revision }) => ({
            name,
            file,
            sha512,
            blocks,
            revision,
          })),
        );
      }),
      { numRuns: 200 },
    );
  });
});

describe('sectionsOf', () => {
  const archs = (sections: ReturnType<typeof splitIndex>, arch?: string): (string | undefined)[] =>
    sectionsOf(sections, { name: 'a', arch }).map((section) => section.arch);

  it('knows an architecture in any spelling, and goes by the very one where it is there', () => {
    const index = (...spellings: string[]): ReturnType<typeof splitIndex> =>
      splitIndex(spellings.map((arch) => `[a]\narch=${arch}\n\n[b]\narch=${arch}\n`).join('\n'));
    expect(archs(index('amd64', 'aarch64'), 'x86_64')).toEqual(['amd64']);
    expect(archs(index('amd64', 'aarch64'), 'arm64')).toEqual(['aarch64']);
    expect(archs(index('amd64', 'x86_64'), 'x86_64')).toEqual(['x86_64']);
    expect(archs(index('amd64', 'aarch64'))).toEqual(['amd64', 'aarch64']);
    expect(archs(index('amd64'), 's390x')).toEqual([]);
  });
});
