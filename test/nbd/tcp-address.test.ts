import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TsbuilderError } from '../../src/errors.js';
import { isLoopback, parseTcpAddress } from '../../src/nbd/tcp-address.js';

describe('parseTcpAddress', () => {
  it.each([
    ['10809', { host: '127.0.0.1', port: 10809 }],
    ['0', { host: '127.0.0.1', port: 0 }],
    ['localhost:1', { host: 'localhost', port: 1 }],
    ['192.168.1.2:10809', { host: '192.168.1.2', port: 10809 }],
    ['[::1]:10809', { host: '::1', port: 10809 }],
    ['[fe80::1%eth0]:65535', { host: 'fe80::1%eth0', port: 65535 }],
    ['*:10809', { host: undefined, port: 10809 }],
    [' vm-1.example.com:80 ', { host: 'vm-1.example.com', port: 80 }],
  ])('reads %j', (text, address) => {
    expect(parseTcpAddress(text)).toEqual(address);
  });

  it.each([
    '',
    'localhost',
    ':10809',
    '::1',
    '::1:10809',
    '[::1]',
    '[127.0.0.1]:1',
    '[]:1',
    'a b:1',
    '1.2.3.4:65536',
    '1:-1',
    '-x:1',
    'host:1:2',
    'h:1x',
  ])('refuses %j', (text) => {
    expect(() => parseTcpAddress(text)).toThrow(expect.objectContaining({ code: 'TSB_USAGE' }));
  });

  it('either reads or refuses any text', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.tuple(fc.string(), fc.nat()).map(([host, port]) => `${host}:${port}`),
        ),
        (text) => {
          try {
            expect(parseTcpAddress(text).port).toBeLessThan(65536);
          } catch (error) {
            expect(error).toBeInstanceOf(TsbuilderError);
          }
        },
      ),
    );
  });
});

describe('isLoopback', () => {
  it('knows the addresses of this machine only', () => {
    const addresses = [
      '127.0.0.1',
      '127.8.9.1',
      '::1',
      '::ffff:127.0.0.1',
      '0.0.0.0',
      '::',
      '10.0.0.1',
      '1270::1',
      '::12',
    ];
    expect(addresses.filter(isLoopback)).toEqual(addresses.slice(0, 4));
  });
});
