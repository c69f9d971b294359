import * as v from 'valibot';
import { TsbuilderError } from '../../errors.js';
import type { SystemOperationKind } from '../operation-kind.js';

const NEEDED = 'virt-customize 1.50 or later and the virtio-win ISO image';

/**
 * An operation of virt-builder's on Windows guests, which is refused: it puts drivers into the registry of a Windows system,
 * and tsbuilder changes Linux systems only.
 */
function refused(name: string, argument?: string): SystemOperationKind<string> {
  const message = `changes Windows systems, which tsbuilder does not`;
  const refuse = (): never => {
    throw new TsbuilderError('TSB_USAGE', `--${name} ${message}`, {
      hint: `Make the disk without it, then do it with ${NEEDED}.`,
    });
  };
  return {
    name,
    argument,
    summary: `Not supported: needs ${NEEDED}.`,
    runs: 'in-guest',
    schema: v.pipe(
      v.string(),
      v.check(() => false, `${message}: use ${NEEDED}`),
    ),
    parse: refuse,
    describe: () => `${name} (not supported)`,
    script: () => Promise.reject(new TsbuilderError('TSB_USAGE', `--${name} ${message}`)),
  };
}

export const injectBlnsvr = refused('inject-blnsvr', 'ISO|FOLDER');
export const injectQemuGa = refused('inject-qemu-ga');
export const injectVirtioWin = refused('inject-virtio-win', 'ISO|FOLDER');
