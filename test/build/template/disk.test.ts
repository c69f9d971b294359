import { execFile } from 'node:child_process';
import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { TemplateContext } from '../../../src/build/template/context.js';
import { vendorOf } from '../../../src/build/template/esp.js';
import { usedInodes } from '../../../src/build/template/ext4.js';
import { LAYOUT_NAMES } from '../../../src/build/template/layout-names.js';
import { layoutNamed } from '../../../src/build/template/layout.js';
import { templateIdentity } from '../../../src/build/template/identity.js';
import { parseRecipe } from '../../../src/build/template/recipe.js';
import { openWorkFolder } from '../../../src/build/template/work-folder.js';
import { formatIdentity, ownIdentity } from '../../../src/io/process-identity.js';
import { silentProgress } from '../../../src/progress.js';

const run = promisify(execFile);
const gptUefi = layoutNamed('gpt-uefi');
const EPOCH = 1_700_000_000;
const ROOT_OFFSET = 129 * 1024 ** 2;
const RECIPE = `
name: mini
fullName: "Mini's system"
arch: x86_64
layout: gpt-uefi
size: 512MiB
kernelArguments: [console=ttyS0]
debian: { suite: bookworm, architecture: amd64, sources: [deb http://example.com/debian bookworm main] }
`;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tsb-template-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function newContext(name: string, recipe = RECIPE): Promise<TemplateContext> {
  const workDir = join(folder, name);
  await mkdir(workDir);
  return {
    recipe: await parseRecipe('mini.yaml', recipe),
    identity: templateIdentity(recipe, EPOCH),
    workDir,
    mirrors: {},
    jobs: 2,
    progress: silentProgress,
  };
}

/** What stands for a signed GRUB: it names the folder of its configuration. */
const grubOf = (vendor: string): string => `grub\0/EFI/${vendor}\0`;

/** What lets ping open raw sockets (capabilities(7)), as hex digits. */
const CAPABILITY = '0100000200200000000000000000000000000000';

/** user::rwx, group::r-x, group 4: r-x, mask::r-x, other::r-x, as Linux hands it out. */
const ACL = '0200000001000700ffffffff04000500ffffffff080005000400000010000500ffffffff20000500ffffffff';

/** Adds a program with a capability to a tar file, in a folder with an access control list, which takes no privileges. */
const ADD_PING = `
import sys, tarfile
path, time, capability, acl = sys.argv[1:]
text = lambda digits: bytes.fromhex(digits).decode('utf-8', 'surrogateescape')
with tarfile.open(path, 'a', format=tarfile.PAX_FORMAT) as tar:
    info = tarfile.TarInfo('./usr/bin/ping')
    info.mode, info.mtime = 0o2755, int(time)
    info.pax_headers = {'SCHILY.xattr.security.capability': text(capability), 'SCHILY.xattr.user.note': 'x' * 200}
    tar.addfile(info)
    # The folder once more, as the program has changed its time.
    info = tarfile.TarInfo('./usr/bin')
    info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, int(time)
    info.pax_headers = {'SCHILY.xattr.system.posix_acl_default': text(acl)}
    tar.addfile(info)
`;

/** Names that a prototype file of mkfs.xfs cannot have: in a folder in its inode, in one of one block, and in one of more. */
const ODD_NAMES = ['etc/a name', ':c', 'some files/ a\tb', 'many/:c', 'many/line\nfeed', 'many/ä  b '];

/** A tree with what the layout looks for and the kinds of file that a filesystem has. */
async function makeTar(vendor = 'debian'): Promise<string> {
  const tree = join(folder, 'fixture');
  const put = async (path: string, content: string | Buffer): Promise<void> => {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), content);
  };
  // Ubuntu's package lets the plain name be one of several by a link.
  const shim = vendor === 'ubuntu' ? 'shimx64.efi.signed.latest' : 'shimx64.efi.signed';
  await put(`usr/lib/shim/${shim}`, 'shim');
  if (vendor === 'ubuntu')
    await symlink('/etc/alternatives/shimx64.efi.signed', join(tree, 'usr/lib/shim/shimx64.efi.signed'));
  await put('usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed', grubOf(vendor));
  await put('etc/hostname', 'mini\n');
  await put('dev/console', 'stands for a device node');
  await put('boot/grub/i386-pc/boot.img', Buffer.from(`${'b'.repeat(510)}\x55\xaa`, 'latin1'));
  await put('boot/grub/i386-pc/core.img', 'c'.repeat(2000));
  await mkdir(join(tree, 'tmp'));
  await chmod(join(tree, 'tmp'), 0o1777);
  for (let index = 0; index < 300; index += 1) await put(`many/${index}`, 'x'.repeat(index * 37));
  for (const path of ODD_NAMES) await put(path, `in ${path}`);
  await symlink('a name', join(tree, 'etc', 'to_a_name'));
  await symlink('hostname', join(tree, 'etc', 'link'));
  await link(join(tree, 'etc/hostname'), join(tree, 'etc', 'hard'));
  await put('usr/bin/su', 'setuid');
  await chmod(join(tree, 'usr/bin/su'), 0o4755);
  const tar = join(folder, 'tree.tar');
  await run('tar', [
    ...['--create', '--file', tar, '--directory', tree, '--sort=name', `--mtime=@${EPOCH - 1000}`],
    ...['--owner=1234', '--group=0', '--numeric-owner', '.'],
  ]);
  await run('python3', ['-c', ADD_PING, tar, String(EPOCH - 1000), CAPABILITY, ACL]);
  return tar;
}

const debugfs = async (disk: string, command: string): Promise<string> =>
  (await run('debugfs', ['-R', command, `${disk}?offset=${ROOT_OFFSET}`])).stdout;

describe('vendorOf', () => {
  it('is the only folder that a signed GRUB names', () => {
    expect(vendorOf(Buffer.from(`MZ\xff${grubOf('debian')}/EFI/debian`, 'latin1'))).toBe('debian');
    expect(() => vendorOf(Buffer.from('MZ'))).toThrow(/names no folder/);
    expect(() => vendorOf(Buffer.from(grubOf('a') + grubOf('b')))).toThrow(/several folders \(a, b\)/);
  });
});

describe('layout gpt-uefi', () => {
  it('makes a disk that the tools of others find whole', async () => {
    const context = await newContext('a');
    const disk = join(folder, 'disk.img');
    await gptUefi.makeDisk(context, disk, await makeTar());
    const { partitiontable } = JSON.parse((await run('sfdisk', ['--json', disk])).stdout) as {
      partitiontable: { id: string; partitions: Record<string, unknown>[] };
    };
    expect(partitiontable.id.toLowerCase()).toBe(context.identity.uuid('disk'));
    expect(partitiontable.partitions).toEqual([
      expect.objectContaining({ start: 2048, size: 262_144, name: 'esp' }),
      expect.objectContaining({ start: 264_192, size: 782_336, name: 'root' }),
    ]);
    expect((await run('sgdisk', ['--verify', disk])).stdout).toContain('No problems found');
    await run('e2fsck', ['-fn', `${disk}?offset=${ROOT_OFFSET}`]);
    expect((await debugfs(disk, 'ls -p /dev')).split('\n').filter((line) => line !== '')).toHaveLength(2);
    expect(await debugfs(disk, 'stat /etc/hostname')).toMatch(/Mode: +0644[\s\S]*User: +1234[\s\S]*Links: 2/);
    expect(await debugfs(disk, 'stat /usr/bin/su')).toMatch(/Mode: +04755/);
    expect(await debugfs(disk, 'stat /etc/link')).toContain('Fast link dest: "hostname"');
    const header = await debugfs(disk, 'stats');
    expect(header).toMatch(/Filesystem volume name: +root/);
    expect(header).toContain(context.identity.uuid('root filesystem'));
    expect(header).toMatch(/features:.* resize_inode.* metadata_csum/);
  });

  it('puts the boot loader where firmware looks, pointing to the root filesystem', async () => {
    const context = await newContext('a');
    const disk = join(folder, 'disk.img');
    await gptUefi.makeDisk(context, disk, await makeTar());
    const type = async (name: string): Promise<string> =>
      (await run('mtype', ['-i', `${disk}@@${1024 ** 2}`, `::/${name}`])).stdout;
    expect(await type('EFI/BOOT/BOOTX64.EFI')).toBe('shim');
    expect(await type('EFI/BOOT/grubx64.efi')).toBe(grubOf('debian'));
    expect(await type('EFI/debian/grub.cfg')).toContain(
      `search.fs_uuid ${context.identity.uuid('root filesystem')} root`,
    );
    const files = new Map(gptUefi.files(context).map(({ path, content }) => [path, content]));
    expect(files.get('/boot/grub/grub.cfg')).toContain(
      `linux /vmlinuz root=UUID=${context.identity.uuid('root filesystem')} ro console=ttyS0\n`,
    );
    expect(files.get('/boot/grub/grub.cfg')).toContain("menuentry 'Minis system' {");
    const idOf = async (offset: number): Promise<string> =>
      (
        await run('blkid', ['-p', '-s', 'UUID', '-o', 'value', '--offset', String(offset), disk])
      ).stdout.trim();
    expect(files.get('/etc/fstab')).toBe(
      [
        `UUID=${await idOf(ROOT_OFFSET)} / ext4 errors=remount-ro 0 1`,
        `UUID=${await idOf(1024 ** 2)} /boot/efi vfat umask=0077 0 1`,
        '',
      ].join('\n'),
    );
  });

  it("puts the boot loader of Ubuntu where Ubuntu's looks", async () => {
    const disk = join(folder, 'disk.img');
    await gptUefi.makeDisk(await newContext('a'), disk, await makeTar('ubuntu'));
    const esp = `${disk}@@${1024 ** 2}`;
    const listed = (await run('mdir', ['-b', '-/', '-i', esp, '::/'])).stdout.split('\n').filter(Boolean);
    expect(listed.filter((name) => !name.endsWith('/')).sort()).toEqual([
      ...['::/EFI/BOOT/BOOTX64.EFI', '::/EFI/BOOT/grubx64.efi'],
      ...['::/EFI/ubuntu/grub.cfg', '::/EFI/ubuntu/grubx64.efi', '::/EFI/ubuntu/shimx64.efi'],
    ]);
    expect((await run('mtype', ['-i', esp, '::/EFI/BOOT/BOOTX64.EFI'])).stdout).toBe('shim');
  });

  it('leaves only the disk and no tree behind', async () => {
    const context = await newContext('a');
    await gptUefi.makeDisk(context, join(folder, 'disk.img'), await makeTar());
    await expect(readFile(join(context.workDir, 'tree'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it.each([
    ['size: 512MiB', 'size: 150MiB'],
    ['arch: x86_64', 'arch: riscv64'],
  ])('refuses a recipe with %s changed to %s', async (from, to) => {
    const context = await newContext('a', RECIPE.replace(from, to));
    const disk = join(folder, 'disk.img');
    await expect(gptUefi.makeDisk(context, disk, 'unused.tar')).rejects.toMatchObject({
      code: 'TSB_RECIPE_INVALID',
    });
  });
});

describe('every layout', () => {
  it('is the same to the byte whenever it is made', async () => {
    const tar = await makeTar();
    const make = async (turn: string): Promise<void> => {
      for (const name of LAYOUT_NAMES) {
        const recipe = RECIPE.replace('gpt-uefi', name);
        await layoutNamed(name).makeDisk(await newContext(`${turn}-${name}`, recipe), disk(turn, name), tar);
      }
    };
    const disk = (turn: string, name: string): string => join(folder, `${turn}-${name}.img`);
    await make('first');
    // Time stamps have a resolution of a second, FAT's of two.
    await new Promise((resolve) => setTimeout(resolve, 2100));
    await make('second');
    for (const name of LAYOUT_NAMES)
      expect(await run('cmp', [disk('first', name), disk('second', name)])).toMatchObject({ stdout: '' });
  }, 120_000);
});

describe('layout xfs', () => {
  const recipe = RECIPE.replace('gpt-uefi', 'xfs');

  it('holds the files with their owners, modes, times and contents', async () => {
    const disk = join(folder, 'disk.img');
    await layoutNamed('xfs').makeDisk(await newContext('a', recipe), disk, await makeTar());
    const root = join(folder, 'root.img');
    await run('dd', [`if=${disk}`, `of=${root}`, 'bs=1M', 'skip=129', 'count=382', 'conv=sparse']);
    const inode = async (path: string): Promise<string> =>
      (
        await run('xfs_db', ['-r', '-c', `path ${path}`, '-c', 'print', root], {
          env: { ...process.env, TZ: 'UTC' },
        })
      ).stdout;
    const own = `${new Date((EPOCH - 1000) * 1000).toUTCString().slice(17, 25)} 2023`;
    const all = `${new Date(EPOCH * 1000).toUTCString().slice(17, 25)} 2023`;
    const su = await inode('/usr/bin/su');
    expect(su).toMatch(/core.mode = 0104755\n[^]*core.uid = 1234\n/);
    expect(su).toMatch(new RegExp(`core.mtime.sec = .* ${own}\n`));
    for (const name of ['core.atime', 'core.ctime', 'v3.crtime'])
      expect(su).toMatch(new RegExp(`${name}.sec = .* ${all}\n`));
    expect(await inode('/tmp')).toContain('core.mode = 041777\n');
    expect(await inode('/')).toContain('core.mode = 040755\n');
    expect(await inode('/etc/link')).toContain('"hostname"');
    const ping = await inode('/usr/bin/ping');
    expect(ping).toMatch(/core.mode = 0102755\n[^]*core.uid = 0\n[^]*core.forkoff = 11\n/);
    expect(ping).toMatch(/a\.sfattr\.hdr\.count = 2\n[^]*\.secure = 1\n[^]*\.name = "capability"\n/);
    expect(ping).toMatch(new RegExp(`\\.name = "note"\n[^]*\\.value = "${'x'.repeat(200)}"`));
    expect(await inode('/usr/bin')).toContain('.name = "SGI_ACL_DEFAULT"');
    for (const copy of ['0', '1', '2', '3'])
      expect((await run('xfs_db', ['-r', '-c', `sb ${copy}`, '-c', 'version', root])).stdout).toContain(
        ',ATTR,',
      );
    expect(await inode('/etc/to_a_name')).toContain('"a name"');
    // Read with a reader of XFS that shares no code with mkfs.xfs.
    for (const path of ['many/299', ...ODD_NAMES])
      await run('grub-fstest', [root, 'cmp', `(loop0)/${path}`, join(folder, 'fixture', path)]);
    const other = run('grub-fstest', [root, 'cmp', '(loop0)/many/298', join(folder, 'fixture/many/299')]);
    await expect(other).rejects.toThrow(/grub-fstest: error/);
  });

  it('is what Linux reads as the tree was', async () => {
    const disk = join(folder, 'disk.img');
    await layoutNamed('xfs').makeDisk(await newContext('a', recipe), disk, await makeTar());
    const commands = [
      ...['run', 'mount-ro /dev/sda2 /', 'getxattr /usr/bin/ping security.capability', 'echo'],
      ...['acl-get-file /usr/bin default', 'readlink /etc/to_a_name'],
      ...ODD_NAMES.map((name) => `cat ${JSON.stringify(`/${name}`)}`),
    ];
    const env = { ...process.env, LIBGUESTFS_BACKEND: 'direct', LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg' };
    const script = join(folder, 'script');
    await writeFile(script, commands.join('\n'));
    const { stdout } = await run('guestfish', ['--ro', '--format=raw', '-a', disk, '-f', script], {
      env,
      encoding: 'latin1',
    });
    expect(Buffer.from(stdout, 'latin1').toString()).toBe(
      [
        Buffer.from(CAPABILITY, 'hex').toString(),
        ...['user::rwx', 'group::r-x', 'group:4:r-x', 'mask::r-x', 'other::r-x', ''],
        ...['a name', ...ODD_NAMES.map((name) => `in ${name}`), ''],
      ].join('\n'),
    );
  }, 120_000);

  it('refuses a disk that is too small for it, and says how large it must be', async () => {
    const small = await newContext('a', recipe.replace('512MiB', '400MiB'));
    const attempt = layoutNamed('xfs').makeDisk(small, join(folder, 'disk.img'), 'unused.tar');
    // What GPT and the EFI system partition take is 130 MiB.
    await expect(attempt).rejects.toMatchObject({
      code: 'TSB_RECIPE_INVALID',
      message: `mini.yaml: ${400 * 1024 ** 2} bytes are too few for layout xfs: at least ${430 * 1024 ** 2} are needed`,
    });
  });

  it('refuses what it cannot hold', async () => {
    const tar = await makeTar();
    const tree = join(folder, 'fixture');
    const attempt = async (name: string): Promise<void> => {
      await run('tar', ['--create', '--xattrs', '--file', tar, '--directory', tree, '.']);
      await layoutNamed('xfs').makeDisk(await newContext(name, recipe), join(folder, `${name}.img`), tar);
    };
    await writeFile(join(tree, 'etc/$'), '');
    await expect(attempt('dollar')).rejects.toMatchObject({
      code: 'TSB_FILESYSTEM',
      message: expect.stringContaining('/etc/$: ') as string,
    });
    await rm(join(tree, 'etc/$'));
    for (const [name, length] of [
      ['large', 256],
      ['larger', 3000],
    ] as const) {
      const value = '1'.repeat(length);
      await run('setfattr', ['-n', 'user.x', '-v', value, join(tree, 'etc/hostname')]);
      await expect(attempt(name)).rejects.toMatchObject({
        code: 'TSB_FILESYSTEM',
        message: expect.stringMatching(`^/etc/(hostname|hard): .* user\\.x of ${length} bytes`) as string,
      });
    }
  });
});

describe('openWorkFolder', () => {
  it('is in TMPDIR, removes itself, and removes what dead processes left and nothing else', async () => {
    const dead = await deadIdentity();
    const names = [
      'other',
      `tsbuilder-template-${dead}.1`,
      `tsbuilder-template-${formatIdentity(ownIdentity())}.99`,
    ];
    for (const name of names) await mkdir(join(folder, name, 'tree'), { recursive: true });
    vi.stubEnv('TMPDIR', folder);
    try {
      await using work = await openWorkFolder();
      expect(dirname(work.path)).toBe(folder);
      expect((await stat(work.path)).mode & 0o777).toBe(0o711);
      await writeFile(join(work.path, 'file'), 'x');
    } finally {
      vi.unstubAllEnvs();
    }
    expect((await readdir(folder)).sort()).toEqual([names[0], names[2]].sort());
  });
});

/** The identity of a process of this machine that has ended. */
async function deadIdentity(): Promise<string> {
  const { stdout } = await run('sh', ['-c', 'echo $$']);
  return formatIdentity({ ...ownIdentity(), pid: Number(stdout), startTime: '1' });
}

describe('usedInodes', () => {
  const dump = (free: string): string =>
    `Inode count:              20\nFirst inode:              11\n\n${free}`;

  it('has the root and whatever is in no list of free ones', () => {
    expect(usedInodes(dump('  Free inodes: 14-16, 18\n  Free inodes: \n  Free inodes: 20\n'))).toEqual([
      2, 11, 12, 13, 17, 19,
    ]);
  });

  it('refuses text of another form', () => {
    expect(() => usedInodes('dumpe2fs: Bad magic number')).toThrow(/no inode counts/);
  });
});
