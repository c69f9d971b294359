import { chmod, readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TsbuilderError } from '../../src/errors.js';
import { exec } from '../../src/io/exec.js';
import { type TlsCredentials, openNbdTls } from '../../src/nbd/tls.js';
import { silentProgress } from '../../src/progress.js';
import { scratchFolder } from '../helpers/scratch-folder.js';
import { type TlsFiles, makeTlsFiles } from '../helpers/tls-files.js';

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let files: TlsFiles;
let key: string;

beforeAll(async () => {
  folder = await scratchFolder();
  files = await makeTlsFiles(folder.path);
  key = (await readFile(files.psk, 'utf8')).trim().slice('alice:'.length);
});
afterAll(() => folder[Symbol.asyncDispose]());

const certificates = (verifyPeer: boolean): TlsCredentials => ({
  kind: 'certificates',
  folder: files.server,
  verifyPeer,
});
const psk = (): TlsCredentials => ({ kind: 'psk', path: files.psk });

/** What a server says of the client that `command` starts, `PORT` in it being the server's, and its details. */
async function failureOf(
  credentials: TlsCredentials,
  command: string,
): Promise<{ said: string; details: string[] }> {
  const details: string[] = [];
  const progress = { ...silentProgress, detail: (line: string) => void details.push(line) };
  const tls = await openNbdTls(credentials, { mode: 'require', progress });
  let tell: (said: string) => void = () => undefined;
  const said = new Promise<string>((done) => (tell = done));
  const server = createServer((socket) => {
    tls.upgrade(socket).then(
      (secure) => {
        secure.destroy();
        tell('let in');
      },
      (error: unknown) => tell(error instanceof TsbuilderError ? error.message : String(error)),
    );
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const line = command.replace('PORT', String(port));
  await exec('timeout', ['10', 'sh', '-c', `${line} < /dev/null`], { okStatus: [0, 1] });
  const result = { said: await said, details };
  await new Promise((done) => server.close(done));
  return result;
}

const CLIENT = 'openssl s_client -connect 127.0.0.1:PORT';
const OTHER_KEY = '00'.repeat(32);
const PREFIX = 'TLS handshake with 127.0.0.1: ';

describe('a handshake that fails', () => {
  it.each([
    [
      `-tls1_3 -psk_identity alice -psk ${OTHER_KEY}`,
      'the client\'s key is not the server\'s key of user "alice"',
    ],
    [
      `-tls1_2 -psk_identity alice -psk ${OTHER_KEY}`,
      'the client\'s key is not the server\'s key of user "alice"',
    ],
    [`-tls1_3 -psk_identity mallory -psk ${OTHER_KEY}`, 'the server has no key of user "mallory"'],
    [`-tls1_2 -psk_identity mallory -psk ${OTHER_KEY}`, 'the server has no key of user "mallory"'],
    ['-tls1_3', 'the client has no key'],
    ['-tls1_2', 'the client has no key'],
    ["-tls1_1 -cipher 'ALL:@SECLEVEL=0'", 'the client speaks neither TLS 1.2 nor 1.3'],
  ])('is told in plain words to whoever runs a server with keys: %s', async (flags, reason) => {
    const { said, details } = await failureOf(psk(), `${CLIENT} ${flags}`);
    expect(said).toBe(PREFIX + reason);
    expect(details).toEqual([expect.stringMatching(/^TLS handshake with .* \(OpenSSL: \S.*\)$/)]);
  });

  it.each([
    ['-tls1_3 -verify_return_error', 'the client does not trust the CA of the server'],
    ['-tls1_2 -verify_return_error', 'the client does not trust the CA of the server'],
    ["-tls1_1 -cipher 'ALL:@SECLEVEL=0'", 'the client speaks neither TLS 1.2 nor 1.3'],
  ])('and with certificates: %s', async (flags, reason) => {
    expect((await failureOf(certificates(false), `${CLIENT} ${flags}`)).said).toBe(PREFIX + reason);
  });

  it('tells what is wrong with the certificate of a client', async () => {
    const refused = `${PREFIX}the client's certificate is not accepted: `;
    expect((await failureOf(certificates(true), CLIENT)).said).toBe(`${refused}there is none`);
    const at = (name: string): string => join(folder.path, name);
    const made = ['-keyout', at('own-key.pem'), '-out', at('own.pem'), '-subj', '/CN=someone'];
    await exec('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...made]);
    const own = await failureOf(
      certificates(true),
      `${CLIENT} -cert ${at('own.pem')} -key ${at('own-key.pem')}`,
    );
    expect(own.said).toBe(`${refused}it is signed by itself, not by the CA`);
    const server = `${CLIENT} -cert ${files.server}/server-cert.pem -key ${files.server}/server-key.pem`;
    expect((await failureOf(certificates(true), server)).said).toBe(`${refused}it is not made for clients`);
    const good = `${CLIENT} -cert ${files.client}/client-cert.pem -key ${files.client}/client-key.pem`;
    expect((await failureOf(certificates(true), good)).said).toBe('let in');
  });

  it.each([
    [
      "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | socat -u - TCP:127.0.0.1:PORT",
      'what the client sends is not TLS',
    ],
    ["echo 'no TLS at all' | socat -u - TCP:127.0.0.1:PORT", 'what the client sends is not TLS'],
    ['socat -u /dev/null TCP:127.0.0.1:PORT', 'the client left before it was complete'],
  ])('is one with what does not speak TLS: %s', async (command, reason) => {
    expect((await failureOf(certificates(false), `(${command})`)).said).toBe(PREFIX + reason);
  });

  it('lets in who has the key', async () => {
    const good = `${CLIENT} -psk_identity alice -psk ${key}`;
    for (const version of ['-tls1_2', '-tls1_3']) {
      expect(await failureOf(psk(), `${good} ${version}`)).toEqual({ said: 'let in', details: [] });
    }
  });

  it('repeats no more of a user name than fits on a line', async () => {
    const name = 'm'.repeat(200);
    const { said } = await failureOf(psk(), `${CLIENT} -tls1_3 -psk_identity ${name} -psk ${OTHER_KEY}`);
    expect(said).toBe(`${PREFIX}the server has no key of user "${'m'.repeat(64)}"`);
  });
});

describe('openNbdTls', () => {
  it('warns of secret keys that others can get at', async () => {
    const warnings: string[] = [];
    const options = {
      mode: 'require',
      progress: { ...silentProgress, warn: (line: string) => void warnings.push(line) },
    } as const;
    const serverKey = join(files.server, 'server-key.pem');
    await chmod(serverKey, 0o600);
    await chmod(files.psk, 0o600);
    await openNbdTls(certificates(false), options);
    await openNbdTls(psk(), options);
    expect(warnings).toEqual([]);
    await chmod(serverKey, 0o640);
    await openNbdTls(certificates(false), options);
    const shared = join(folder.path, 'shared.psk');
    await writeFile(shared, `alice:${key}\n`, { mode: 0o644 });
    await chmod(shared, 0o604);
    await openNbdTls({ kind: 'psk', path: shared }, options);
    expect(warnings).toEqual([
      `${serverKey}: others than its owner can get at this secret key (mode 640): chmod 600 '${serverKey}'`,
      `${shared}: others than its owner can get at this secret key (mode 604): chmod 600 '${shared}'`,
    ]);
    await chmod(serverKey, 0o600);
  });
});
