// Installs what is missing: `node scripts/setup.mjs [run|test|bench]`. Plain Node, since node_modules may be missing;
// touches nothing, and needs neither network nor rights, when everything is there.
import { accessSync, constants, existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, must, status } from './run-program.mjs';

const FOLDERS = [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin'];

const isExecutable = (path) => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};
const isReadable = (path) => {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
};
const isRoot = () => process.getuid?.() === 0;
const program = (name) => () => FOLDERS.some((folder) => folder !== '' && isExecutable(join(folder, name)));
const file = (path) => () => existsSync(path);
/** A file in /usr/lib, /usr/lib64 or one of Debian's multiarch folders. */
const library = (name) => () =>
  ['', ...readdirSync('/usr/lib')].some((folder) => existsSync(join('/usr/lib', folder, name))) ||
  existsSync(join('/usr/lib64', name));
/** libguestfs starts its appliance with a kernel from /boot, which it must be able to read, and that kernel's modules. */
const kernel = () =>
  existsSync('/boot') &&
  readdirSync('/boot').some(
    (name) =>
      name.startsWith('vmlinuz-') &&
      isReadable(join('/boot', name)) &&
      existsSync(join('/lib/modules', name.slice('vmlinuz-'.length))),
  );

/** Debian's packages, and how to see that one is not needed any more. */
const PACKAGES = {
  run: [
    ['ca-certificates', file('/etc/ssl/certs/ca-certificates.crt')],
    ['debian-archive-keyring', file('/usr/share/keyrings/debian-archive-keyring.gpg')],
    ['dosfstools', program('mkfs.vfat')],
    ['e2fsprogs', program('resize2fs')],
    ['fdisk', program('sfdisk')],
    ['fuse3', program('fusermount3')],
    ['libeatmydata1', library('libeatmydata.so')],
    ['liblzma5', library('liblzma.so.5')],
    ['libnbd-bin', program('nbdfuse')],
    ['libzstd1', library('libzstd.so.1')],
    ['mmdebstrap', program('mmdebstrap')],
    ['mount', program('mount')],
    ['mtools', program('mcopy')],
    ['ovmf', file('/usr/share/OVMF/OVMF_CODE_4M.fd')],
    ['qemu-system-x86', program('qemu-system-x86_64')],
    ['qemu-utils', program('qemu-img')],
    ['tar', program('tar')],
    ['uidmap', () => isRoot() || program('newuidmap')()],
    ['util-linux', program('unshare')],
    ['xz-utils', program('xz')],
    ['zlib1g', library('libz.so.1')],
  ],
  test: [
    ['acl', program('getfacl')],
    ['attr', program('getfattr')],
    ['bash-completion', file('/usr/share/bash-completion/bash_completion')],
    ['btrfs-progs', program('mkfs.btrfs')],
    ['bzip2', program('bzip2')],
    ['chromium', program('chromium')],
    ['curl', program('curl')],
    ['dropbear-bin', program('dropbear')],
    ['fish', program('fish')],
    ['gdisk', program('sgdisk')],
    ['git', program('git')],
    ['gnutls-bin', program('psktool')],
    ['gnupg', program('gpg')],
    ['grub-common', program('grub-fstest')],
    ['guestfs-tools', program('virt-builder')],
    ['guestfish', program('guestfish')],
    ['iproute2', program('ip')],
    ['kmod', program('modprobe')],
    ['libguestfs-xfs', file('/usr/lib/x86_64-linux-gnu/guestfs/supermin.d/packages-xfs')],
    ['libnss-wrapper', library('libnss_wrapper.so')],
    ['linux-image-cloud-amd64', kernel],
    ['lvm2', program('lvm')],
    ['lz4', program('lz4')],
    ['man-db', program('man')],
    ['nbd-client', program('nbd-client')],
    ['nbdkit', program('nbdkit')],
    ['ntfs-3g', program('mkfs.ntfs')],
    ['openssh-client', program('ssh-keyscan')],
    ['openssl', program('openssl')],
    ['perl', program('perl')],
    ['pigz', program('pigz')],
    ['pixz', program('pixz')],
    ['procps', program('ps')],
    ['python3-libnbd', program('nbdsh')],
    ['python3-swift', file('/usr/lib/python3/dist-packages/swift/proxy/server.py')],
    ['qemu-system-common', program('qemu-storage-daemon')],
    ['rsync', program('rsync')],
    ['s3cmd', program('s3cmd')],
    ['socat', program('socat')],
    ['strace', program('strace')],
    ['systemd', program('systemd-socket-activate')],
    ['udev', program('udevadm')],
    ['xfsprogs', program('mkfs.xfs')],
    ['zsh', program('zsh')],
    ['zstd', program('zstd')],
  ],
  bench: [
    ['7zip', program('7zz')],
    ['hyperfine', program('hyperfine')],
    ['time', file('/usr/bin/time')],
  ],
};

const PROFILES = { run: ['run'], test: ['run', 'test'], bench: ['run', 'test', 'bench'] };

function fail(message) {
  process.stderr.write(`setup: ${message}\n`);
  process.exit(1);
}

function installPackages(groups) {
  const missing = groups
    .flatMap((group) => PACKAGES[group])
    .filter(([, present]) => !present())
    .map(([name]) => name);
  if (missing.length === 0) return;
  const list = missing.join(' ');
  if (!program('apt-get')()) {
    fail(
      `this is neither Debian nor Ubuntu. Install what these Debian packages hold, then run again: ${list}`,
    );
  }
  const prefix = rootPrefix();
  if (prefix === undefined) fail(`needs root. Run as root, or install sudo: apt-get install ${list}`);
  process.stdout.write(`setup: installing ${list}\n`);
  const apt = (...args) => {
    const [first, ...rest] = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args];
    return status(first, rest);
  };
  // A source that fails to update may be one that is not needed: installing tells.
  apt('-qq', 'update');
  const quiet = ['-qq', '-o', 'Dpkg::Use-Pty=0', '-y', '--no-install-recommends'];
  if (apt(...quiet, 'install', ...missing) !== 0) fail(`apt-get could not install: ${list}`);
}

/** The words to put before a command that needs root; undefined when there is no way to be root. */
function rootPrefix() {
  if (isRoot()) return [];
  return program('sudo')() ? ['sudo'] : undefined;
}

/**
 * Whether node_modules holds what package-lock.json says, by npm's own record of what it installed. Of what is optional only that must be
 * there which we name ourselves and nothing has to be built for.
 */
function modulesMatch() {
  const read = (path) => JSON.parse(readFileSync(join(ROOT, path), 'utf8')).packages;
  try {
    const installed = read('node_modules/.package-lock.json');
    const packages = read('package-lock.json');
    const named = Object.keys(packages[''].optionalDependencies ?? {}).map((name) => `node_modules/${name}`);
    return Object.entries(packages)
      .filter(([path]) => path !== '')
      .filter(
        ([path, { optional, hasInstallScript }]) => !optional || (named.includes(path) && !hasInstallScript),
      )
      .every(([path, { version }]) => installed[path]?.version === version && existsSync(join(ROOT, path)));
  } catch {
    return false;
  }
}

function installModules() {
  if (modulesMatch()) return;
  process.stdout.write('setup: installing node modules\n');
  must('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  fail(`needs Node 20.19 or newer, this is ${process.versions.node}: see https://nodejs.org/en/download`);
}

const profile = process.argv[2] ?? 'run';
const groups = PROFILES[profile];
if (!groups) fail(`no such profile: ${profile}. Choose one of ${Object.keys(PROFILES).join(', ')}`);
checkNode();
installPackages(groups);
installModules();
