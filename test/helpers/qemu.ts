import { spawn } from 'node:child_process';

/** OVMF, for machines with UEFI; qemu brings SeaBIOS along, for others. */
const FIRMWARE = '/usr/share/OVMF/OVMF_CODE_4M.fd';
/** What a boot that has failed says: no need to wait for the end of the time. */
const HOPELESS = /Kernel panic|\(initramfs\) |grub rescue>|BdsDxe: No bootable option|emergency mode/;
const VARIABLES = '/usr/share/OVMF/OVMF_VARS_4M.fd';

const UEFI = [
  ...['-drive', `if=pflash,format=raw,readonly=on,file=${FIRMWARE}`],
  ...['-drive', `if=pflash,format=raw,snapshot=on,file=${VARIABLES}`],
];

/** What a machine said on its serial console. */
export interface BootResult {
  /** Everything up to and including what was waited for, without terminal escapes. */
  readonly console: string;
  readonly seconds: number;
}

/**
 * Boots a disk, with UEFI firmware unless `firmware` says otherwise, in an emulated machine (no KVM, no network), reads the serial console until `pattern`
 * matches, and ends the machine. The disk file is only read, what the guest writes is dropped, unless `write` is set. `path` may
 * be the URI of an NBD server.
 *
 * @throws with the end of the console when the time is over or the machine ends first
 */
export async function bootUntil(
  disk: { path: string; format: 'raw' | 'qcow2'; write?: boolean; firmware?: 'uefi' | 'bios' },
  pattern: RegExp,
  timeoutMs = 600_000,
): Promise<BootResult> {
  const begin = Date.now();
  const child = spawn('qemu-system-x86_64', [
    ...['-machine', 'q35', '-accel', 'tcg,thread=multi', '-smp', '2', '-m', '1024'],
    ...(disk.firmware === 'bios' ? [] : UEFI),
    ...['-drive', `if=virtio,format=${disk.format},snapshot=${disk.write ? 'off' : 'on'},file=${disk.path}`],
    ...['-nic', 'none', '-display', 'none', '-monitor', 'none', '-serial', 'stdio', '-no-reboot'],
  ]);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let text = '';
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string): void => reject(new Error(`${why}; console:\n${plain(text).slice(-9000)}`));
      timer = setTimeout(() => fail(`no ${pattern} after ${timeoutMs / 1000} s`), timeoutMs);
      child.once('error', reject);
      child.once('close', (code) => {
        fail(`qemu ended with status ${code ?? 'none'}`);
      });
      const read = (data: Buffer): void => {
        text += data.toString('latin1');
        const sofar = plain(text);
        if (HOPELESS.test(sofar)) fail('the boot has failed');
        if (!pattern.test(sofar)) return;
        resolve();
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
    });
    return { console: plain(text), seconds: (Date.now() - begin) / 1000 };
  } finally {
    clearTimeout(timer);
    child.kill('SIGKILL');
    await ended;
  }
}

/** `text` without terminal escape sequences and carriage returns. */
function plain(text: string): string {
  return text
    .replaceAll(new RegExp(`${String.fromCharCode(27)}\\[[0-9;?=]*[A-Za-z]`, 'g'), '')
    .replaceAll('\r', '');
}
