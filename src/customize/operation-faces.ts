// Made from the operations: npx vitest run -u test/customize/operations.test.ts

/** What help says of an operation, without loading the operation itself. */
export interface OperationFace {
  readonly name: string;
  readonly argument?: string;
  readonly summary: string;
}

/** The faces of all operations, in alphabetical order. */
export const OPERATION_FACES: readonly OperationFace[] = [
  {
    name: 'append-line',
    argument: 'FILE:LINE',
    summary: 'add a line to the end of a file, which is made if it is missing',
  },
  {
    name: 'chmod',
    argument: 'PERMISSIONS:FILE',
    summary: 'set the permissions of a file: 0644 is octal, 420 the same in decimal',
  },
  { name: 'chown', argument: 'UID:GID:PATH', summary: 'set the owner and group of a file, by number' },
  {
    name: 'cloud-init',
    argument: 'USER-DATA[:META-DATA[:NETWORK-CONFIG]]',
    summary:
      "put user data for cloud-init into the guest (a NoCloud seed); metadata is made when it isn't given",
  },
  {
    name: 'copy',
    argument: 'SOURCE:DEST',
    summary: 'copy a file or a folder with all in it inside the guest',
  },
  {
    name: 'copy-in',
    argument: 'LOCALPATH:REMOTEDIR',
    summary: 'copy a file or a folder with all in it from this machine into a folder of the guest',
  },
  {
    name: 'delete',
    argument: 'PATH',
    summary: 'delete files, or folders with all in them; * ? [...] and {...} are shell patterns',
  },
  {
    name: 'edit',
    argument: 'FILE:EXPR',
    summary:
      'change each line of a file ($_, its number is $lineno) by a Perl expression, run on this machine',
  },
  { name: 'firstboot', argument: 'SCRIPT', summary: 'run a script at the first boot of the guest' },
  {
    name: 'firstboot-command',
    argument: "'COMMAND'",
    summary: 'run a shell command at the first boot of the guest',
  },
  {
    name: 'firstboot-install',
    argument: 'PACKAGE,PACKAGE..',
    summary: 'install packages at the first boot of the guest',
  },
  { name: 'hostname', argument: 'NAME', summary: "set the guest's host name" },
  {
    name: 'inject-blnsvr',
    argument: 'ISO|FOLDER',
    summary: 'not supported: needs virt-customize 1.50 or later and the virtio-win ISO image',
  },
  {
    name: 'inject-qemu-ga',
    summary: 'not supported: needs virt-customize 1.50 or later and the virtio-win ISO image',
  },
  {
    name: 'inject-virtio-win',
    argument: 'ISO|FOLDER',
    summary: 'not supported: needs virt-customize 1.50 or later and the virtio-win ISO image',
  },
  {
    name: 'install',
    argument: 'PACKAGE,PACKAGE..',
    summary: "install packages with the guest's package manager",
  },
  {
    name: 'link',
    argument: 'TARGET:LINK[:LINK..]',
    summary: 'make symbolic links that lead to TARGET, replacing files of their names',
  },
  {
    name: 'mkdir',
    argument: 'DIR',
    summary: 'make a folder and those above it that are missing; one that is there already is fine',
  },
  { name: 'move', argument: 'SOURCE:DEST', summary: 'move or rename a file or a folder inside the guest' },
  { name: 'password', argument: 'USER:SELECTOR', summary: 'set the password of a user' },
  { name: 'root-password', argument: 'SELECTOR', summary: "set root's password" },
  { name: 'run', argument: 'SCRIPT', summary: 'run a script or program of this machine in the guest' },
  { name: 'run-command', argument: "'COMMAND'", summary: "run a command in the guest, by the guest's shell" },
  {
    name: 'scrub',
    argument: 'FILE',
    summary:
      'delete a file and overwrite its data in the image; the storage below may still keep older copies',
  },
  { name: 'ssh-host-keys', summary: "make new SSH host keys in place of the template's" },
  { name: 'ssh-inject', argument: 'USER[:SELECTOR]', summary: 'let a public key log in as a user over SSH' },
  {
    name: 'tar-in',
    argument: 'TARFILE:REMOTEDIR',
    summary: 'unpack an uncompressed tar archive of this machine into a folder of the guest',
  },
  { name: 'timezone', argument: 'ZONE', summary: "set the guest's time zone, such as Europe/Paris" },
  {
    name: 'touch',
    argument: 'FILE',
    summary: 'make an empty file, or set the time of one that is there to now',
  },
  { name: 'truncate', argument: 'FILE', summary: 'make a file empty that is there already' },
  {
    name: 'truncate-recursive',
    argument: 'PATH',
    summary: 'make all files below a folder empty; links are not followed',
  },
  {
    name: 'uninstall',
    argument: 'PACKAGE,PACKAGE..',
    summary: "remove packages with the guest's package manager",
  },
  { name: 'update', summary: 'update all installed packages of the guest' },
  {
    name: 'upload',
    argument: 'FILE:DEST',
    summary:
      'copy a file of this machine, with its permissions and owner, to a path or into a folder of the guest',
  },
  {
    name: 'user',
    argument: 'NAME[:OPTION]...',
    summary:
      'make a user: groups=A,B, sudo, sudo-nopasswd, key=FILE, uid=N, shell=, home=, comment=, password=SELECTOR',
  },
  {
    name: 'write',
    argument: 'FILE:CONTENT',
    summary: 'make a file with this content, or replace the content of one that is there',
  },
];
