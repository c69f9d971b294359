import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exec } from '../../src/io/exec.js';

/** Credentials made by the tools that nbdkit's and QEMU's manuals name: certtool and psktool of GnuTLS. */
export interface TlsFiles {
  /** Server side: ca-cert.pem, server-cert.pem (for localhost and 127.0.0.1) and server-key.pem. */
  readonly server: string;
  /** Client side, with a certificate of the same CA. */
  readonly client: string;
  /** Client side without a certificate of its own. */
  readonly anonymous: string;
  /** Key of the user `alice`. */
  readonly psk: string;
}

/** Makes all of them in `folder`. */
export async function makeTlsFiles(folder: string): Promise<TlsFiles> {
  const at = (name: string): string => join(folder, name);
  const sides = { server: at('server'), client: at('client'), anonymous: at('anonymous') };
  for (const side of Object.values(sides)) await mkdir(side);
  await newKey(at('ca-key.pem'));
  await writeFile(at('ca.info'), 'cn = Test CA\nca\ncert_signing_key\n');
  const self = ['--generate-self-signed', '--load-privkey', at('ca-key.pem'), '--template', at('ca.info')];
  await certtool(at('ca.pem'), self);
  const caSigned = ['--load-ca-certificate', at('ca.pem'), '--load-ca-privkey', at('ca-key.pem')];
  const templates = {
    server:
      'cn = localhost\ndns_name = localhost\nip_address = 127.0.0.1\ntls_www_server\nencryption_key\nsigning_key\n',
    client: 'cn = someone\ntls_www_client\nencryption_key\nsigning_key\n',
  };
  for (const side of ['server', 'client'] as const) {
    const file = (name: string): string => join(sides[side], name);
    await newKey(file(`${side}-key.pem`));
    await writeFile(at(`${side}.info`), templates[side]);
    const own = ['--load-privkey', file(`${side}-key.pem`), '--template', at(`${side}.info`)];
    await certtool(file(`${side}-cert.pem`), ['--generate-certificate', ...caSigned, ...own]);
  }
  const ca = await exec('cat', [at('ca.pem')]);
  for (const side of Object.values(sides)) await writeFile(join(side, 'ca-cert.pem'), ca.stdout);
  await exec('psktool', ['-u', 'alice', '-p', at('keys.psk')]);
  return { ...sides, psk: at('keys.psk') };
}

async function newKey(path: string): Promise<void> {
  await certtool(path, ['--generate-privkey', '--key-type', 'ecdsa']);
}

async function certtool(outfile: string, args: readonly string[]): Promise<void> {
  await exec('certtool', [...args, '--outfile', outfile]);
}
