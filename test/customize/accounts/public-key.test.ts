import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeKeys } from '../../../src/customize/accounts/install-keys.js';
import { keyIdentity, parsePublicKeys } from '../../../src/customize/accounts/public-key.js';
import { PRIVATE_KEY_FILE, PUBLIC_KEYS } from '../../helpers/ssh-keys.js';
import { run, scratchPath } from '../../helpers/guest-image.js';

const all = Object.values(PUBLIC_KEYS).join('');
const plain = PUBLIC_KEYS.ed25519.trim();
const [type, base64] = plain.split(' ') as [string, string];

describe('parsePublicKeys', () => {
  it('reads the keys of ssh-keygen, with comments, empty lines and CRLF between them', () => {
    const text = `# mine\r\n\r\n${all.replaceAll('\n', '\r\n')}`;
    expect(parsePublicKeys(text, 'f').map(({ line }) => line)).toEqual(all.trim().split('\n'));
  });

  it('reads options with quotes and blanks before a key', () => {
    const line = `command="echo \\"a b\\" ssh-rsa",no-pty ${plain}`;
    expect(parsePublicKeys(line, 'f')).toEqual([{ line, identity: `${type} ${base64}` }]);
  });

  it('refuses private keys of every format without showing them', () => {
    const pem = scratchPath('pem');
    run('ssh-keygen', ['-q', '-t', 'ecdsa', '-m', 'PEM', '-N', '', '-f', pem]);
    for (const path of [PRIVATE_KEY_FILE, pem]) {
      const secret = readFileSync(path, 'utf8');
      const parse = (): unknown => parsePublicKeys(`${plain}\n${secret}`, 'id');
      expect(parse).toThrow(
        expect.objectContaining({
          code: 'TSB_USAGE',
          message: expect.stringMatching(/^id is a private key/) as unknown,
        }),
      );
    }
    expect(() => parsePublicKeys('PuTTY-User-Key-File-3: ssh-ed25519', 'id')).toThrow(/private key/);
  });

  it.each([
    ['nothing', ''],
    ['a comment', '# x\n'],
    ['no key', 'hello world'],
    ['an unknown type', `ssh-foo ${base64}`],
    ['a type alone', type],
    ['the wrong type', `ssh-rsa ${base64}`],
    ['a key cut off', `${type} ${base64.slice(0, 10)}`],
    ['what is no base64', `${type} !!!!`],
    ['an escape', `${plain}\x1b[2J`],
    ['a NUL', `${plain}\0`],
    ['an open quote', `command="x ${plain}`],
    ['another format', '---- BEGIN SSH2 PUBLIC KEY ----'],
    ['a certificate', `ssh-ed25519-cert-v01@openssh.com ${base64} me`],
  ])('refuses %s', (_, text) => {
    expect(() => parsePublicKeys(text, 'f')).toThrow(expect.objectContaining({ code: 'TSB_USAGE' }));
  });

  it('takes any line without throwing', () => {
    fc.assert(fc.property(fc.string(), (text) => ['string', 'undefined'].includes(typeof keyIdentity(text))));
  });
});

describe('mergeKeys', () => {
  const keys = parsePublicKeys(all, 'f');

  it('adds every key once, keeps what was there, and ends with a line break', () => {
    const old = fc
      .array(
        fc.oneof(fc.constantFrom(...all.trim().split('\n'), '# c', ''), fc.stringMatching(/^[a-z ]{0,9}$/)),
      )
      .map((lines) => lines.join('\n'));
    fc.assert(
      fc.property(old, fc.subarray(keys), (text, some) => {
        const merged = mergeKeys(text, some);
        expect(merged.startsWith(text)).toBe(true);
        expect(mergeKeys(merged, some)).toBe(merged);
        if (merged !== text) expect(merged.endsWith('\n')).toBe(true);
        const had = new Set(text.split('\n').map(keyIdentity));
        const added = merged.slice(text.length).split('\n').map(keyIdentity).filter(Boolean);
        expect(added).toEqual(some.map(({ identity }) => identity).filter((each) => !had.has(each)));
      }),
    );
  });

  it('knows a key by its material, whatever options and comment', () => {
    const there = `from="10.0.0.1" ${type} ${base64} someone else`;
    expect(mergeKeys(there, parsePublicKeys(plain, 'f'))).toBe(there);
    expect(mergeKeys('', [...keys, ...keys])).toBe(all);
  });
});
