import * as v from 'valibot';
import { packageTask } from '../in-guest/packages.js';
import type { SystemOperationKind } from '../operation-kind.js';

/** `--update`: brings all installed packages to the versions that the guest's repositories have. */
export const update: SystemOperationKind<true> = {
  name: 'update',
  summary: 'Update all installed packages of the guest.',
  runs: 'in-guest',
  schema: v.literal(true),
  parse: () => true,
  describe: () => 'update the installed packages',
  script: (_, { os }) => packageTask(os, 'update'),
};
