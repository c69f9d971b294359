import { TsbuilderError } from '../errors.js';
import type { GuestOs } from './inspect.js';

/** What templates call the processors of Node's `process.arch`. */
const HOST_NAMES: Readonly<Record<string, string>> = {
  x64: 'x86_64',
  ia32: 'i386',
  arm64: 'aarch64',
  arm: 'armv7l',
  ppc64: 'ppc64le',
};

/** Architectures whose programs processors of another one run too. */
const ALSO_RUNS: Readonly<Record<string, readonly string[]>> = { x86_64: ['i386'] };

/**
 * Makes sure that programs of the guest on `disk` can run on this machine's processor: an appliance does not emulate
 * another one.
 *
 * @param arch of this machine, as in `process.arch`
 * @throws TSB_GUEST when the guest is no Linux system or for another processor
 */
export function assertRunnable(disk: string, os: GuestOs, arch: string = process.arch): void {
  if (os.type !== 'linux') {
    throw new TsbuilderError(
      'TSB_GUEST',
      `${disk}: the guest is no Linux system, so none of its programs can be run`,
    );
  }
  const host = HOST_NAMES[arch] ?? arch;
  if (os.arch === undefined || os.arch === host || (ALSO_RUNS[host] ?? []).includes(os.arch)) return;
  throw new TsbuilderError(
    'TSB_GUEST',
    `${disk}: the guest is for ${os.arch} and this machine is ${host}, so its programs cannot be run here`,
    {
      hint: 'Let the guest do it when it boots: --firstboot, --firstboot-command, --firstboot-install.',
      details: { arch: os.arch, host },
    },
  );
}
