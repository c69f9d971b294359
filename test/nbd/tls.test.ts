import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { TLSSocket, connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ExecResult, exec } from '../../src/io/exec.js';
import { newCounters } from '../../src/io/counters.js';
import { opaqueDisk } from '../../src/io/disk-source.js';
import { openNbdListener } from '../../src/nbd/listen.js';
import { serveNbdConnection } from '../../src/nbd/nbd-server.js';
import { formatNbdUri } from '../../src/nbd/nbd-uri.js';
import { type TlsCredentials, openNbdTls } from '../../src/nbd/tls.js';
import { silentProgress } from '../../src/progress.js';
import { scratchFolder } from '../helpers/scratch-folder.js';
import { type TlsFiles, makeTlsFiles } from '../helpers/tls-files.js';

const SIZE = 3 * 1024 * 1024;
const REQUIRE = { mode: 'require', progress: silentProgress } as const;
let folder: Awaited<ReturnType<typeof scratchFolder>>;
let files: TlsFiles;

beforeAll(async () => {
  folder = await scratchFolder();
  files = await makeTlsFiles(folder.path);
});
afterAll(() => folder[Symbol.asyncDispose]());

const certificates = (verifyPeer = false): TlsCredentials => ({
  kind: 'certificates',
  folder: files.server,
  verifyPeer,
});
const psk = (): TlsCredentials => ({ kind: 'psk', path: files.psk });

/** Every byte tells its offset. */
function pattern(offset: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => ((offset + index) >> 9) & 0xff);
}

async function serve(credentials: TlsCredentials, mode: 'allow' | 'require') {
  const log: string[] = [];
  const protocols: (string | null)[] = [];
  const tls = await openNbdTls(credentials, { mode, progress: silentProgress });
  const disk = opaqueDisk({
    name: 'pattern',
    size: SIZE,
    read: (offset, length) => Promise.resolve(pattern(offset, length)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
  const options = {
    exports: [{ name: '', disk }],
    defaultExport: '',
    tls: {
      ...tls,
      async upgrade(socket: Duplex) {
        const secure = await tls.upgrade(socket);
        if (secure instanceof TLSSocket) protocols.push(secure.getProtocol());
        return secure;
      },
    },
    counters: newCounters(),
    log: (line: string) => void log.push(line),
  };
  const listener = await openNbdListener(
    { kind: 'tcp', host: '127.0.0.1', port: 0 },
    { serve: (socket, signal) => serveNbdConnection(socket, options, signal) },
  );
  const [endpoint] = listener.endpoints;
  if (!endpoint || endpoint.kind !== 'tcp') throw new Error('no endpoint');
  return { endpoint, log, protocols, tls, [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose]() };
}

async function copied(uri: string): Promise<boolean> {
  const out = join(folder.path, 'copy.img');
  await exec('nbdcopy', [uri, out]);
  const compare = await exec('cmp', [out, '-'], { input: pattern(0, SIZE), okStatus: [0, 1] });
  await rm(out);
  return compare.status === 0;
}

function attempt(file: string, ...args: string[]): Promise<ExecResult> {
  return exec(file, args, { okStatus: [0, 1, 2] });
}

describe('openNbdTls', () => {
  it('lets nbdcopy in that trusts the CA, and checks the name of the server', async () => {
    await using server = await serve(certificates(), 'require');
    const uri = formatNbdUri(server.endpoint, '', { certificates: files.anonymous });
    expect(uri).toMatch(/^nbds:\/\/127\.0\.0\.1:\d+\/\?tls-certificates=\//);
    expect(await copied(uri)).toBe(true);
  });

  it('shares keys with libnbd in TLS 1.3 and 1.2', async () => {
    await using server = await serve(psk(), 'require');
    expect(server.tls.users).toEqual(['alice']);
    const uri = formatNbdUri(server.endpoint, '', { pskFile: files.psk, user: 'alice' });
    expect(await copied(uri)).toBe(true);
    const priority = join(folder.path, 'priority');
    await writeFile(priority, '[overrides]\ndisabled-version = tls1.3\n');
    await exec('nbdinfo', [uri], { env: { GNUTLS_SYSTEM_PRIORITY_FILE: priority } });
    expect(new Set(server.protocols)).toEqual(new Set(['TLSv1.3', 'TLSv1.2']));
  });

  it('is understood by qemu-img', async () => {
    await using keyed = await serve(psk(), 'require');
    await mkdir(join(folder.path, 'qemu'));
    await exec('cp', [files.psk, join(folder.path, 'qemu', 'keys.psk')]);
    const { port } = keyed.endpoint;
    const image = (extra: string): string => `driver=nbd,host=127.0.0.1,port=${port},tls-creds=t${extra}`;
    const withKey = await exec('qemu-img', [
      ...['info', '--output=json', '--object'],
      `tls-creds-psk,id=t,endpoint=client,username=alice,dir=${join(folder.path, 'qemu')}`,
      ...['--image-opts', image('')],
    ]);
    expect(JSON.parse(withKey.stdout)).toMatchObject({ 'virtual-size': SIZE });
    await using certified = await serve(certificates(true), 'require');
    const withCertificate = await exec('qemu-img', [
      ...['info', '--output=json', '--object', `tls-creds-x509,id=t,endpoint=client,dir=${files.client}`],
      ...['--image-opts', `driver=nbd,host=127.0.0.1,port=${certified.endpoint.port},tls-creds=t`],
    ]);
    expect(JSON.parse(withCertificate.stdout)).toMatchObject({ 'virtual-size': SIZE });
  });

  it('serves nothing in plaintext with require, and both with allow', async () => {
    await using strict = await serve(certificates(), 'require');
    const refused = await attempt('nbdinfo', '--size', formatNbdUri(strict.endpoint, ''));
    expect(refused.status).not.toBe(0);
    expect(refused.stderr).toMatch(/TLS/i);
    await using lax = await serve(certificates(), 'allow');
    expect((await exec('nbdinfo', ['--size', formatNbdUri(lax.endpoint, '')])).stdout.trim()).toBe(
      String(SIZE),
    );
    const secure = formatNbdUri(lax.endpoint, '', { certificates: files.anonymous });
    expect((await exec('nbdinfo', ['--size', secure])).stdout.trim()).toBe(String(SIZE));
  });

  it('lets in only holders of a certificate when it is to verify them, and says why not', async () => {
    await using server = await serve(certificates(true), 'require');
    const good = formatNbdUri(server.endpoint, '', { certificates: files.client });
    expect((await exec('nbdinfo', ['--size', good])).stdout.trim()).toBe(String(SIZE));
    const bad = formatNbdUri(server.endpoint, '', { certificates: files.anonymous });
    expect((await attempt('nbdinfo', '--size', bad)).status).not.toBe(0);
    expect(server.log.join('\n')).toContain("the client's certificate is not accepted: there is none");
  });

  it('refuses unknown users and wrong keys, and lives on', async () => {
    await using server = await serve(psk(), 'require');
    const wrong = join(folder.path, 'wrong.psk');
    await writeFile(wrong, `alice:${'00'.repeat(32)}\nmallory:${'11'.repeat(32)}\n`);
    for (const user of ['alice', 'mallory']) {
      const uri = formatNbdUri(server.endpoint, '', { pskFile: wrong, user });
      expect((await attempt('nbdinfo', '--size', uri)).status).not.toBe(0);
    }
    const failed = 'connection failed: TLS handshake with 127.0.0.1:';
    expect(new Set(server.log)).toEqual(
      new Set([
        `${failed} the client's key is not the server's key of user "alice"`,
        `${failed} the server has no key of user "mallory"`,
      ]),
    );
    const uri = formatNbdUri(server.endpoint, '', { pskFile: files.psk, user: 'alice' });
    expect((await exec('nbdinfo', ['--size', uri])).status).toBe(0);
  });

  it('gives an encrypted stream over any stream, and rejects what is no TLS', async () => {
    const tls = await openNbdTls(certificates(), REQUIRE);
    const ends: Promise<string>[] = [];
    const server = createServer((socket) => {
      ends.push(
        tls.upgrade(socket).then(
          (secure) => {
            secure.end('hello');
            return 'upgraded';
          },
          (error: unknown) => (error as { code: string }).code,
        ),
      );
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as { port: number };
    const ca = (await exec('cat', [join(files.server, 'ca-cert.pem')])).stdout;
    const client = connectTls({ host: '127.0.0.1', port, ca });
    let text = '';
    client.on('data', (data: Buffer) => (text += data.toString()));
    await new Promise((done) => client.once('close', done));
    expect(text).toBe('hello');
    await attempt('socat', '-u', 'SYSTEM:echo no TLS at all', `TCP:127.0.0.1:${port}`);
    expect(await Promise.all(ends)).toEqual(['upgraded', 'TSB_TLS']);
    await new Promise((done) => server.close(done));
  });

  it('says which file of keys is missing', async () => {
    const missing = join(folder.path, 'none.psk');
    await expect(openNbdTls({ kind: 'psk', path: missing }, REQUIRE)).rejects.toMatchObject({
      code: 'TSB_TLS',
      message: expect.stringContaining(missing) as string,
    });
  });
});
