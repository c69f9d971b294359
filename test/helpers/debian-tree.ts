import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { run } from './disk.js';

const PROGRAMS = [
  ...[
    'sh',
    'bash',
    'cat',
    'tail',
    'ls',
    'id',
    'uname',
    'rm',
    'mkdir',
    'stat',
    'sleep',
    'tar',
    'diff',
    'touch',
    'chmod',
    'kill',
  ],
  ...['dpkg', 'dpkg-deb', 'dpkg-split', 'dpkg-query', 'apt-get', 'apt-config', 'apt-cache'],
  ...['ldconfig', 'start-stop-daemon', 'sed', 'grep', 'gzip'],
];
const METHODS = ['file', 'copy', 'store', 'gpgv'].map((name) => `/usr/lib/apt/methods/${name}`);

/**
 * A folder with the smallest Debian system in which apt-get installs packages: programs of this machine with their
 * libraries, and a repository `/repo` with one package, `hello-tsb`, whose program is /usr/bin/hello-tsb.
 */
export function debianTree(folder: string): string {
  const root = join(folder, 'debian');
  for (const path of [
    'usr/bin',
    'usr/sbin',
    'usr/lib',
    'usr/lib64',
    'etc/apt/apt.conf.d',
    'etc/apt/preferences.d',
    'usr/share/dpkg',
    'root',
    'tmp',
    'dev',
    'proc',
    'sys',
    'repo',
    'boot',
  ])
    mkdirSync(join(root, path), { recursive: true });
  for (const path of [
    'var/lib/dpkg/info',
    'var/lib/dpkg/updates',
    'var/lib/apt/lists/partial',
    'var/cache/apt/archives/partial',
    'var/log/apt',
  ])
    mkdirSync(join(root, path), { recursive: true });
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${name}`, join(root, name));
  for (const name of ['cputable', 'ostable', 'tupletable', 'abitable']) copy(`/usr/share/dpkg/${name}`, root);
  const programs = [...PROGRAMS.map(locate), ...METHODS];
  for (const file of new Set([...programs, ...programs.flatMap(libraries)])) copy(file, root);
  writeFiles(root);
  makeRepository(folder, root);
  return root;
}

function locate(name: string): string {
  const found = ['/usr/bin', '/usr/sbin', '/bin', '/sbin']
    .map((place) => join(place, name))
    .find((path) => existsSync(path));
  if (found === undefined) throw new Error(`${name} is not installed`);
  return found;
}

function libraries(file: string): string[] {
  const text = execFileSync('ldd', [file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return [...text.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] ?? '');
}

/** Under the merged name: /lib/x is /usr/lib/x. */
function copy(file: string, root: string): void {
  const target = join(root, file.replace(/^\/(bin|sbin|lib|lib64)\//, '/usr/$1/'));
  mkdirSync(dirname(target), { recursive: true });
  cpSync(realpathSync(file), target);
}

function writeFiles(root: string): void {
  const files = {
    'etc/os-release':
      'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n',
    'etc/debian_version': '12.5\n',
    'etc/passwd': 'root:x:0:0:root:/root:/bin/bash\n',
    'etc/group': 'root:x:0:\n',
    'etc/hostname': 'small\n',
    'etc/fstab': '/dev/sda1 / auto defaults 0 1\n',
    'etc/apt/sources.list': 'deb [trusted=yes] file:/repo ./\n',
    'etc/apt/apt.conf': 'APT::Sandbox::User "root";\nAPT::Architecture "amd64";\n',
    'var/lib/dpkg/status': '',
    'var/lib/dpkg/available': '',
    'etc/resolv.conf': 'nameserver 192.0.2.1\n',
  };
  for (const [path, text] of Object.entries(files)) writeFileSync(join(root, path), text);
}

function makeRepository(folder: string, root: string): void {
  const control =
    'Package: hello-tsb\nVersion: 1.0\nArchitecture: all\nMaintainer: Nobody <nobody@example.com>\nDescription: says hello\n';
  const tree = join(folder, 'package');
  mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
  mkdirSync(join(tree, 'usr/bin'), { recursive: true });
  writeFileSync(join(tree, 'DEBIAN/control'), control);
  writeFileSync(join(tree, 'usr/bin/hello-tsb'), '#!/bin/sh\necho hello\n', { mode: 0o755 });
  const deb = join(root, 'repo/hello-tsb_1.0_all.deb');
  run('dpkg-deb', ['--root-owner-group', '-b', tree, deb]);
  const sha256 = run('sha256sum', [deb]).slice(0, 64);
  const place = `Filename: ./hello-tsb_1.0_all.deb\nSize: ${statSync(deb).size}\nSHA256: ${sha256}\n`;
  writeFileSync(join(root, 'repo/Packages'), `${control}${place}\n`);
}

/** Makes an XFS filesystem in `file` with the files of `tree`, all root's, without mounting it. */
export function makeXfs(file: string, tree: string): void {
  const list = `${file}.files`;
  writeFileSync(list, ['-', '0 0', 'd--755 0 0', ...prototype(tree), '$', ''].join('\n'));
  run('mkfs.xfs', ['-q', '-f', '-p', list, file]);
}

/** Lines of a prototype file (mkfs.xfs(8), -p). */
function prototype(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isSymbolicLink()) return [`${entry.name} l--777 0 0 ${run('readlink', [path]).trim()}`];
    const mode = (statSync(path).mode & 0o777).toString(8).padStart(3, '0');
    if (!entry.isDirectory()) return [`${basename(path)} ---${mode} 0 0 ${path}`];
    return [`${entry.name} d--${mode} 0 0`, ...prototype(path), '$'];
  });
}
