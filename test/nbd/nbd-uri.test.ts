import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exec } from '../../src/io/exec.js';
import { formatNbdUri, formatQemuNbd } from '../../src/nbd/nbd-uri.js';

const tcp = (host: string, wildcard = false) => ({ kind: 'tcp', host, port: 10809, wildcard }) as const;
const unix = (path: string) => ({ kind: 'unix', path }) as const;

describe('formatNbdUri', () => {
  it.each([
    [tcp('127.0.0.1'), '', undefined, 'nbd://127.0.0.1:10809/'],
    [tcp('::1'), 'disk', undefined, 'nbd://[::1]:10809/disk'],
    [tcp('fe80::1%eth0'), '', undefined, 'nbd://[fe80::1%25eth0]:10809/'],
    [tcp('::', true), 'a/b c?#%é', undefined, 'nbd://localhost:10809/a%2Fb%20c%3F%23%25%C3%A9'],
    [unix('/run/x.sock'), '', undefined, 'nbd+unix:///?socket=/run/x.sock'],
    [unix('/tmp/a b&c=é#'), 'n', undefined, 'nbd+unix:///n?socket=/tmp/a%20b%26c%3D%C3%A9%23'],
    [tcp('1.2.3.4'), '', { certificates: '/etc/pki' }, 'nbds://1.2.3.4:10809/?tls-certificates=/etc/pki'],
    [unix('/s'), 'x', { pskFile: '/k y', user: 'a@b' }, 'nbds+unix://a%40b@/x?socket=/s&tls-psk-file=/k%20y'],
  ])('writes %j %j %j', (endpoint, name, tls, uri) => {
    expect(formatNbdUri(endpoint, name, tls)).toBe(uri);
  });

  it('is read back by libnbd as it was meant', async () => {
    const name = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
      .filter((text) => !/[\0/]/.test(text));
    const cases = fc.sample(fc.tuple(name, name), 40);
    const uris = cases.map(([path, wanted]) => formatNbdUri(unix(`/tmp/${path}`), wanted));
    const script = `
import json, os, socket, sys, nbd
for uri in json.load(sys.stdin):
    h = nbd.NBD()
    try: h.connect_uri(uri)
    except nbd.Error: pass
    print(json.dumps(h.get_export_name()))
`;
    const { stdout } = await exec('/usr/bin/python3', ['-c', script], { input: JSON.stringify(uris) });
    const read = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as string);
    expect(read).toEqual(cases.map(([, wanted]) => wanted));
  });
});

describe('formatQemuNbd', () => {
  it("writes QEMU's older notation", () => {
    expect(formatQemuNbd(unix('/a b'), '')).toBe('nbd:unix:/a b');
    expect(formatQemuNbd(unix('/a'), 'x')).toBe('nbd:unix:/a:exportname=x');
    expect(formatQemuNbd(tcp('::1'), '')).toBe('nbd:[::1]:10809');
    expect(formatQemuNbd(tcp('0.0.0.0', true), 'x')).toBe('nbd:localhost:10809:exportname=x');
  });
});
