import { packageTask, packagesArgument } from '../in-guest/packages.js';
import type { SystemOperationKind } from '../operation-kind.js';

/** `--install`: packages by the guest's own package manager, from its own repositories. */
export const install: SystemOperationKind<string[]> = {
  name: 'install',
  argument: 'PACKAGE,PACKAGE..',
  summary: "Install packages with the guest's package manager.",
  runs: 'in-guest',
  ...packagesArgument('install'),
  describe: (packages) => `install ${packages.join(', ')}`,
  script: (packages, { os }) => packageTask(os, 'install', packages),
};
