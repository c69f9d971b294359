import { describe, expect, it } from 'vitest';
import { assertRunnable } from '../../src/guest/assert-runnable.js';
import type { GuestOs } from '../../src/guest/inspect.js';

const os = (arch: string | undefined, type: GuestOs['type'] = 'linux'): GuestOs => ({
  type,
  distro: undefined,
  arch,
  init: 'unknown',
  packageManager: undefined,
  fstab: [],
  selinux: undefined,
});

describe('whether programs of a guest can be run', () => {
  it.each([
    ['x86_64', 'x64'],
    ['i386', 'x64'],
    ['aarch64', 'arm64'],
    ['riscv64', 'riscv64'],
    [undefined, 'x64'],
  ])('%s runs on %s', (arch, host) => {
    expect(() => assertRunnable('disk.img', os(arch), host)).not.toThrow();
  });

  it.each([
    ['aarch64', 'x64', 'x86_64'],
    ['x86_64', 'arm64', 'aarch64'],
    ['x86_64', 'ia32', 'i386'],
    ['ppc64', 'ppc64', 'ppc64le'],
  ])('%s does not run on %s', (arch, host, name) => {
    expect(() => assertRunnable('disk.img', os(arch), host)).toThrow(
      `disk.img: the guest is for ${arch} and this machine is ${name}, so its programs cannot be run here`,
    );
  });

  it('needs Linux', () => {
    expect(() => assertRunnable('disk.img', os('x86_64', 'unknown'), 'x64')).toThrow(/no Linux system/);
  });
});
