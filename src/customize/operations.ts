import type { OperationKind } from './operation-kind.js';
import { appendLine } from './ops/append-line.js';
import { chmod } from './ops/chmod.js';
import { chown } from './ops/chown.js';
import { cloudInit } from './ops/cloud-init.js';
import { copy } from './ops/copy.js';
import { copyIn } from './ops/copy-in.js';
import { deletePath } from './ops/delete.js';
import { edit } from './ops/edit.js';
import { firstboot, firstbootCommand, firstbootInstall } from './ops/firstboot.js';
import { hostname } from './ops/hostname.js';
import { injectBlnsvr, injectQemuGa, injectVirtioWin } from './ops/inject.js';
import { install } from './ops/install.js';
import { link } from './ops/link.js';
import { mkdir } from './ops/mkdir.js';
import { move } from './ops/move.js';
import { password } from './ops/password.js';
import { rootPassword } from './ops/root-password.js';
import { run } from './ops/run.js';
import { runCommand } from './ops/run-command.js';
import { scrub } from './ops/scrub.js';
import { sshHostKeys } from './ops/ssh-host-keys.js';
import { sshInject } from './ops/ssh-inject.js';
import { tarIn } from './ops/tar-in.js';
import { timezone } from './ops/timezone.js';
import { touch } from './ops/touch.js';
import { truncate, truncateRecursive } from './ops/truncate.js';
import { uninstall } from './ops/uninstall.js';
import { update } from './ops/update.js';
import { upload } from './ops/upload.js';
import { user } from './ops/user.js';
import { write } from './ops/write.js';

/** Every operation there is, in alphabetical order: what flags, command files, YAML lists, their schema and the manual are made of. */
export const OPERATIONS: readonly OperationKind<unknown>[] = [
  appendLine,
  chmod,
  chown,
  cloudInit,
  copy,
  copyIn,
  deletePath,
  edit,
  firstboot,
  firstbootCommand,
  firstbootInstall,
  hostname,
  injectBlnsvr,
  injectQemuGa,
  injectVirtioWin,
  install,
  link,
  mkdir,
  move,
  password,
  rootPassword,
  run,
  runCommand,
  scrub,
  sshHostKeys,
  sshInject,
  tarIn,
  timezone,
  touch,
  truncate,
  truncateRecursive,
  uninstall,
  update,
  upload,
  user,
  write,
];

/** The operation called `name` (`append-line`), if there is one. */
export function findOperation(name: string): OperationKind<unknown> | undefined {
  return OPERATIONS.find((kind) => kind.name === name);
}
