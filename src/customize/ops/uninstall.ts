import { packageTask, packagesArgument } from '../in-guest/packages.js';
import type { SystemOperationKind } from '../operation-kind.js';

/** `--uninstall`: takes packages out of the guest, and those that cannot be without them. */
export const uninstall: SystemOperationKind<string[]> = {
  name: 'uninstall',
  argument: 'PACKAGE,PACKAGE..',
  summary: "Remove packages with the guest's package manager.",
  runs: 'in-guest',
  ...packagesArgument('uninstall'),
  describe: (packages) => `uninstall ${packages.join(', ')}`,
  script: (packages, { os }) => packageTask(os, 'uninstall', packages),
};
