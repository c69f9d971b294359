import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeHostKeys } from '../../../src/customize/accounts/host-keys.js';
import { ed25519PrivateFile, mpintBytes, sshString } from '../../../src/customize/accounts/ssh-key-format.js';
import { seededRandom, systemRandom } from '../../../src/io/random.js';
import { run, scratchPath } from '../../helpers/guest-image.js';

/** Type and key of a private key's public half, as ssh-keygen derives it, without the comment. */
function derived(privateFile: string): string {
  const path = scratchPath('key');
  writeFileSync(path, privateFile, { mode: 0o600 });
  return run('ssh-keygen', ['-y', '-P', '', '-f', path]).trim().split(' ').slice(0, 2).join(' ');
}

describe('makeHostKeys', () => {
  it('makes pairs that ssh-keygen and openssl accept', async () => {
    const keys = await makeHostKeys(systemRandom(), 'root@web1');
    expect(keys.map(({ type }) => type)).toEqual(['ed25519', 'ecdsa', 'rsa']);
    const said: string[] = [];
    for (const { type, privateFile, publicLine } of keys) {
      expect(derived(privateFile)).toBe(publicLine.split(' ').slice(0, 2).join(' '));
      const path = scratchPath(`${type}.pub`);
      writeFileSync(path, publicLine);
      said.push(
        run('ssh-keygen', ['-l', '-f', path])
          .replace(/SHA256:\S+/, 'HASH')
          .trim(),
      );
    }
    expect(said).toEqual([
      '256 HASH root@web1 (ED25519)',
      '256 HASH root@web1 (ECDSA)',
      '3072 HASH root@web1 (RSA)',
    ]);
    expect(run('openssl', ['rsa', '-check', '-noout'], keys[2]?.privateFile)).toContain('RSA key ok');
    run('openssl', ['ec', '-check', '-noout'], keys[1]?.privateFile);
  });

  it('has the same keys for the same seed, and others for another', async () => {
    const [one, same, other] = await Promise.all(
      ['a', 'a', 'b'].map((seed) => makeHostKeys(seededRandom(seed), 'c')),
    );
    expect(same).toEqual(one);
    expect(one!.map(({ type }) => type)).toEqual(['ed25519', 'ecdsa']);
    for (const [at, key] of other!.entries()) expect(key.publicLine).not.toBe(one![at]!.publicLine);
  });

  it('makes whole keys of any seed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), async (seed) => {
        const [ed25519, ecdsa] = await makeHostKeys(seededRandom(seed), 'c');
        for (const key of [ed25519!, ecdsa!])
          expect(derived(key.privateFile)).toBe(key.publicLine.split(' ').slice(0, 2).join(' '));
        run('openssl', ['ec', '-check', '-noout'], ecdsa!.privateFile);
      }),
      { numRuns: 40 },
    );
  });

  it('never makes the same keys without a seed', async () => {
    const [one, other] = await Promise.all([1, 2].map(() => makeHostKeys(systemRandom(), 'c')));
    for (const [at, key] of other!.entries()) expect(key.publicLine).not.toBe(one![at]!.publicLine);
  });
});

describe('the format of private keys', () => {
  it('holds any Ed25519 key with any comment', () => {
    const text = fc.string({ unit: 'grapheme-ascii', maxLength: 20 });
    fc.assert(
      fc.property(text, fc.uint8Array({ minLength: 4, maxLength: 4 }), (comment, check) => {
        const jwk = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
        const seed = Buffer.from(jwk.d!, 'base64url');
        const publicKey = Buffer.from(jwk.x!, 'base64url');
        const blob = Buffer.concat([sshString('ssh-ed25519'), sshString(publicKey)]).toString('base64');
        const file = ed25519PrivateFile({ seed, publicKey }, { comment, check });
        expect(derived(file)).toBe(`ssh-ed25519 ${blob}`);
      }),
      { numRuns: 16 },
    );
  });

  it('writes numbers without needless zeros and never as negative ones', () => {
    expect(mpintBytes(Buffer.from([0, 0, 0x7f]))).toEqual(Buffer.from([0x7f]));
    expect(mpintBytes(Buffer.from([0, 0x80]))).toEqual(Buffer.from([0, 0x80]));
    expect(mpintBytes(Buffer.alloc(3))).toEqual(Buffer.alloc(0));
  });
});
