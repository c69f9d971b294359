import { spawn } from 'node:child_process';
import { createServer } from 'node:net';

const FIRMWARE = '/usr/share/OVMF/OVMF_CODE_4M.fd';
const VARIABLES = '/usr/share/OVMF/OVMF_VARS_4M.fd';

/** A running machine with a serial console. */
export interface Machine extends AsyncDisposable {
  /** The port of 127.0.0.1 that leads to the guest's SSH server. */
  readonly sshPort: number;
  /** Everything that the console has said, without terminal escapes. */
  console(): string;
  /** What the console says up to and including `pattern`, from where the last call stopped. */
  until(pattern: RegExp, timeoutMs?: number): Promise<string>;
  /** Types at the console. */
  type(text: string): void;
}

/**
 * Boots a raw disk with UEFI firmware in an emulated machine without KVM, whose network leads nowhere but has the guest's port 22
 * on a port of this machine. The disk is only read; what the guest writes is dropped.
 */
export async function startMachine(disk: string): Promise<Machine> {
  const sshPort = await freePort();
  const child = spawn('qemu-system-x86_64', [
    ...['-machine', 'q35', '-accel', 'tcg,thread=multi', '-smp', '2', '-m', '1024'],
    ...['-drive', `if=pflash,format=raw,readonly=on,file=${FIRMWARE}`],
    ...['-drive', `if=pflash,format=raw,snapshot=on,file=${VARIABLES}`],
    ...['-drive', `if=virtio,format=raw,snapshot=on,file=${disk}`],
    ...['-nic', `user,restrict=on,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:${sshPort}-:22`],
    ...['-display', 'none', '-monitor', 'none', '-serial', 'stdio', '-no-reboot'],
  ]);
  let text = '';
  let seen = 0;
  let ended = false;
  const end = new Promise<void>((resolve) =>
    child.once('close', () => {
      ended = true;
      resolve();
    }),
  );
  child.once('error', (error) => (text += String(error)));
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => (text += data.toString('latin1')));
  const plain = (): string => withoutEscapes(text);
  return {
    sshPort,
    console: plain,
    type: (line) => void child.stdin.write(line),
    async until(pattern, timeoutMs = 300_000) {
      for (const begin = Date.now(); ; await new Promise((resolve) => setTimeout(resolve, 100))) {
        const said = plain();
        const found = pattern.exec(said.slice(seen));
        if (found) {
          const stop = seen + found.index + found[0].length;
          const part = said.slice(seen, stop);
          seen = stop;
          return part;
        }
        if (ended || Date.now() - begin > timeoutMs)
          throw new Error(`no ${pattern} after ${Date.now() - begin} ms; console:\n${said.slice(-6000)}`);
      }
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await end;
    },
  };
}

/** A port of 127.0.0.1 that nobody listens on. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/** `text` without whole terminal escape sequences and carriage returns; what is only begun at its end is left out too. */
function withoutEscapes(text: string): string {
  const escape = String.fromCharCode(27);
  return text
    .replaceAll(new RegExp(`${escape}\\[[0-9;?=]*[A-Za-z]`, 'g'), '')
    .replace(new RegExp(`${escape}[^A-Za-z]*$`), '')
    .replaceAll('\r', '');
}
