import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openRawWriter } from '../../src/image/raw-writer.js';
import { openOutputFile, openScratchFile } from '../../src/io/output-file.js';
import { formatIdentity, ownIdentity } from '../../src/io/process-identity.js';
import { type TempFolder, extentStates, requireExt4, run, tempFolder } from '../helpers/disk-tools.js';

let folder: TempFolder;
beforeEach(() => {
  folder = tempFolder();
});
afterEach(() => folder[Symbol.dispose]());

async function make(
  path: string,
  content: string,
  options: { force?: boolean; sync?: boolean } = {},
): Promise<void> {
  await using output = await openOutputFile(path, options);
  await writeFile(output.tempPath, content, { flag: 'r+' });
  await output.commit();
}

const names = (): string[] => readdirSync(folder.path).sort();
const text = (name: string): string => readFileSync(folder.file(name), 'utf8');
const DEAD = { ...ownIdentity(), startTime: '1' };

describe('openOutputFile', () => {
  it('lets a new file appear only at commit', async () => {
    await using output = await openOutputFile(folder.file('disk.img'));
    expect(names()).toEqual([expect.stringMatching(/^\.disk\.img\..*\.tsb$/)]);
    await writeFile(output.tempPath, 'whole', { flag: 'r+' });
    await output.commit();
    expect(names()).toEqual(['disk.img']);
    expect(text('disk.img')).toBe('whole');
    writeFileSync(folder.file('plain'), '');
    expect(statSync(folder.file('disk.img')).mode).toBe(statSync(folder.file('plain')).mode);
  });

  it('leaves nothing when it is disposed without commit', async () => {
    {
      await using output = await openOutputFile(folder.file('disk.img'));
      await writeFile(output.tempPath, 'half', { flag: 'r+' });
    }
    expect(names()).toEqual([]);
  });

  it('refuses to commit twice', async () => {
    await using output = await openOutputFile(folder.file('disk.img'));
    await output.commit();
    await expect(output.commit()).rejects.toThrow(/already/);
  });

  it('reports a temporary file that has gone, and keeps the old output', async () => {
    await make(folder.file('disk.img'), 'old');
    await using output = await openOutputFile(folder.file('disk.img'), { force: true });
    run('rm', output.tempPath);
    await expect(output.commit()).rejects.toMatchObject({ code: 'TSB_IO' });
    expect(text('disk.img')).toBe('old');
  });

  it('waits for the disk with sync', async () => {
    await make(folder.file('disk.img'), 'synced'.repeat(10_000), { sync: true });
    requireExt4(folder.path);
    expect(extentStates(folder.file('disk.img'))).toMatchObject({ delayed: 0 });
    expect(text('disk.img')).toHaveLength(60_000);
  });

  it('takes names as long as the filesystem allows', async () => {
    const name = 'n'.repeat(255);
    await make(folder.file(name), 'long');
    await make(folder.file(name), 'longer', { force: true });
    expect(names()).toEqual([name]);
    expect(text(name)).toBe('longer');
    await expect(openOutputFile(folder.file(`${name}n`))).rejects.toMatchObject({
      code: 'TSB_OUTPUT_UNUSABLE',
    });
  });
});

describe('an existing output', () => {
  it('is refused without force, before any work', async () => {
    await make(folder.file('disk.img'), 'old');
    await expect(openOutputFile(folder.file('disk.img'))).rejects.toMatchObject({
      code: 'TSB_OUTPUT_EXISTS',
    });
    expect(names()).toEqual(['disk.img']);
  });

  it('that appears meanwhile is refused without force', async () => {
    await using output = await openOutputFile(folder.file('disk.img'));
    writeFileSync(folder.file('disk.img'), 'theirs');
    await expect(output.commit()).rejects.toMatchObject({ code: 'TSB_OUTPUT_EXISTS' });
    await output[Symbol.asyncDispose]();
    expect(names()).toEqual(['disk.img']);
    expect(text('disk.img')).toBe('theirs');
  });

  it('is replaced with force and keeps its mode and owner', async () => {
    writeFileSync(folder.file('disk.img'), 'old');
    chmodSync(folder.file('disk.img'), 0o640);
    const owner = process.getuid?.() === 0 ? 12345 : process.getuid!();
    run('chown', String(owner), folder.file('disk.img'));
    await using output = await openOutputFile(folder.file('disk.img'), { force: true });
    expect(statSync(output.tempPath).mode & 0o777).toBe(0o600);
    await writeFile(output.tempPath, 'new', { flag: 'r+' });
    expect(text('disk.img')).toBe('old');
    await output.commit();
    const { mode, uid } = statSync(folder.file('disk.img'));
    expect({ mode: mode & 0o777, uid, content: text('disk.img') }).toEqual({
      mode: 0o640,
      uid: owner,
      content: 'new',
    });
    expect(names()).toEqual(['disk.img']);
  });

  it('keeps its attributes and access control list, and takes none from the folder', async () => {
    const [one, two] = [folder.file('disk.img'), folder.file('plain.img')];
    writeFileSync(one, 'old');
    writeFileSync(two, 'old');
    run('setfattr', '-n', 'user.kept', '-v', 'yes', one);
    run('setfacl', '-m', 'u:65534:rw,g::r', one);
    chmodSync(two, 0o640);
    run('setfacl', '-d', '-m', 'u:65534:rw', folder.path);
    const listsOf = (): string[] =>
      [one, two].map((path) => execFileSync('getfacl', ['-cpn', path], { encoding: 'utf8' }));
    const before = listsOf();
    for (const path of [one, two]) await make(path, 'new', { force: true });
    expect(listsOf()).toEqual(before);
    expect(before[0]).toContain('user:65534:rw-');
    const attributes = execFileSync('getfattr', ['-d', '--absolute-names', one], { encoding: 'utf8' });
    expect(attributes).toContain('user.kept="yes"');
  });

  it('keeps its group where its owner cannot be kept, and gives another group no more than everybody', () => {
    // As a user who is in group 1, but not in group 2.
    chmodSync(folder.path, 0o777);
    for (const group of [1, 2]) {
      writeFileSync(folder.file(`disk${group}`), 'old');
      run('chown', `0:${group}`, folder.file(`disk${group}`));
      chmodSync(folder.file(`disk${group}`), 0o664);
    }
    const program = `import { openOutputFile } from ${JSON.stringify(join(import.meta.dirname, '../../src/io/output-file.ts'))};
      for (const path of process.argv.slice(1)) await (await openOutputFile(path, { force: true })).commit();`;
    const user = ['--reuid=65534', '--regid=65534', '--groups=1'];
    const node = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', program];
    execFileSync('setpriv', [...user, ...node, folder.file('disk1'), folder.file('disk2')]);
    const found = ['disk1', 'disk2'].map((name) => {
      const { uid, gid, mode } = statSync(folder.file(name));
      return `${uid}:${gid} ${(mode & 0o777).toString(8)}`;
    });
    expect(found).toEqual(['65534:1 664', '65534:65534 644']);
  });

  it('may disappear meanwhile', async () => {
    await make(folder.file('disk.img'), 'old');
    await using output = await openOutputFile(folder.file('disk.img'), { force: true });
    run('rm', folder.file('disk.img'));
    await output.commit();
    expect(names()).toEqual(['disk.img']);
    expect(text('disk.img')).toBe('');
  });

  it('that has become a folder stays as it is', async () => {
    await using output = await openOutputFile(folder.file('disk.img'), { force: true });
    mkdirSync(folder.file('disk.img'));
    writeFileSync(folder.file('disk.img/inside'), 'kept');
    await expect(output.commit()).rejects.toMatchObject({ code: 'TSB_OUTPUT_UNUSABLE' });
    expect(text('disk.img/inside')).toBe('kept');
  });
});

describe('an output that cannot be', () => {
  it.each([
    ['a folder', () => folder.path],
    ['a folder given by name', () => `${folder.path}/disk/`],
    ['a character device', () => '/dev/null'],
    ['in a missing folder', () => folder.file('missing/disk.img')],
    ['in something that is no folder', () => '/etc/passwd/disk.img'],
    ['nameless', () => ''],
  ])('is refused at once: %s', async (_, path) => {
    await expect(openOutputFile(path(), { force: true })).rejects.toMatchObject({
      code: 'TSB_OUTPUT_UNUSABLE',
    });
    expect(names()).toEqual([]);
  });

  it('is refused when it is a symbolic link, whose target stays', async () => {
    writeFileSync(folder.file('real'), 'precious');
    symlinkSync('real', folder.file('link'));
    symlinkSync('nowhere', folder.file('dangling'));
    for (const name of ['link', 'dangling'])
      await expect(openOutputFile(folder.file(name), { force: true })).rejects.toMatchObject({
        code: 'TSB_OUTPUT_UNUSABLE',
      });
    expect(names()).toEqual(['dangling', 'link', 'real']);
    expect(text('real')).toBe('precious');
  });

  it('is refused in a read-only folder and on a mount point', () => {
    // In a mount namespace of its own, so that it needs no more than a user namespace and leaves nothing mounted.
    mkdirSync(folder.file('ro'));
    writeFileSync(folder.file('bound'), '');
    const script = `
      mount -t tmpfs -o ro tmpfs ${folder.file('ro')} && mount --bind /etc/hostname ${folder.file('bound')} &&
      exec ${process.execPath} --import tsx ${join(import.meta.dirname, '../helpers/try-output.ts')} \
        ${folder.file('ro/disk.img')} ${folder.file('bound')}`;
    const output = execFileSync('unshare', ['-Urm', 'sh', '-c', script], { encoding: 'utf8' });
    expect(output.trim().split('\n')).toEqual([
      expect.stringMatching(/^TSB_OUTPUT_UNUSABLE .*read-only$/),
      expect.stringMatching(/^TSB_OUTPUT_UNUSABLE .*is a mount point/),
    ]);
  });
});

describe('two builds of one output', () => {
  it('in two processes: the second is told at once', async () => {
    const child = spawn(process.execPath, [
      ...['--import', 'tsx', join(import.meta.dirname, '../helpers/hold-output.ts')],
      folder.file('disk.img'),
    ]);
    await once(child.stdout, 'data');
    await expect(openOutputFile(folder.file('disk.img'))).rejects.toMatchObject({
      code: 'TSB_LOCKED',
      details: { pid: child.pid },
    });
    expect(names()).toHaveLength(1);
    child.kill('SIGKILL');
    await once(child, 'exit');
    // What the killed one left is swept by the next.
    await make(folder.file('disk.img'), 'second');
    expect(names()).toEqual(['disk.img']);
  });

  it('at the same time without force: one wins whole, the other is told', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, (_, index) => make(folder.file('disk.img'), String(index).repeat(1000))),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results.filter(({ status }) => status === 'rejected'))
      expect(result).toMatchObject({ reason: { code: 'TSB_OUTPUT_EXISTS' } });
    expect(text('disk.img')).toMatch(/^(\d)\1{999}$/);
    expect(names()).toEqual(['disk.img']);
  });

  it('at the same time with force: the last one stands, whole', async () => {
    await make(folder.file('disk.img'), 'old');
    await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        make(folder.file('disk.img'), String(index).repeat(1000), { force: true }),
      ),
    );
    expect(text('disk.img')).toMatch(/^(\d)\1{999}$/);
    expect(names()).toEqual(['disk.img']);
  });
});

describe('left-over temporary files', () => {
  const leftover = (name: string, identity = DEAD, suffix = ''): string => {
    const path = folder.file(`.${name}.${formatIdentity(identity)}.1${suffix}.tsb`);
    writeFileSync(path, 'left over');
    return path;
  };

  it('of dead processes for this output are removed, others stay', async () => {
    const stale = leftover('disk.img');
    const kept = [
      leftover('other.img'),
      leftover('disk.img.b'),
      leftover('disk.img', { ...DEAD, table: '0123456789abcdef' }),
    ];
    writeFileSync(folder.file('.disk.img.mine.tsb'), 'not of our making');
    await make(folder.file('disk.img'), 'new');
    expect(existsSync(stale)).toBe(false);
    expect(kept.map((path) => existsSync(path))).toEqual([true, true, true]);
    expect(existsSync(folder.file('.disk.img.mine.tsb'))).toBe(true);
  });

  it('with an old output set aside give it its name back', async () => {
    leftover('disk.img', DEAD, '.old');
    leftover('disk.img');
    await expect(openOutputFile(folder.file('disk.img'))).rejects.toMatchObject({
      code: 'TSB_OUTPUT_EXISTS',
    });
    expect(names()).toEqual(['disk.img']);
    expect(text('disk.img')).toBe('left over');
  });
});

describe('openScratchFile', () => {
  it('lives beside the output and goes', async () => {
    {
      await using scratch = await openScratchFile(folder.file('disk.img'));
      expect(names()).toEqual([scratch.tempPath.slice(folder.path.length + 1)]);
    }
    expect(names()).toEqual([]);
  });
});

// Somebody else's sync(1) at the wrong moment would flush the data too: hence the second chance.
describe('the no-flush rule', { retry: 2 }, () => {
  it.each([{ force: false }, { force: true }])(
    'keeps the data delayed after commit, force: $force',
    async ({ force }) => {
      requireExt4(folder.path);
      const path = folder.file('disk.img');
      if (force) {
        await make(path, 'old'.repeat(100_000));
        run('sync', path);
      }
      await using output = await openOutputFile(path, { force });
      {
        await using writer = await openRawWriter(output.tempPath, 64 * 1024 * 1024);
        await writer.write(1024 * 1024, Buffer.alloc(16 * 1024 * 1024, 1));
        await writer.write(40 * 1024 * 1024, Buffer.alloc(16 * 1024 * 1024, 2));
        await writer.finish();
      }
      await output.commit();
      expect(extentStates(path)).toEqual({ placed: 0, delayed: expect.any(Number) as number });
      expect(extentStates(path).delayed).toBeGreaterThan(1);
      expect(names()).toEqual(['disk.img']);
    },
  );
});
