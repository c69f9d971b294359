import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TsbuilderError } from '../../src/errors.js';
import { parsePskFile } from '../../src/nbd/tls-psk.js';

const KEY = '00112233445566778899aabbccddeeff';

function faultOf(text: string): string {
  try {
    parsePskFile(text, 'keys');
    return 'none';
  } catch (error) {
    return error instanceof TsbuilderError && error.code === 'TSB_TLS' ? error.message : 'other';
  }
}

describe('parsePskFile', () => {
  it('reads users and keys, and passes over comments and empty lines', () => {
    const keys = parsePskFile(
      `# keys\n\nalice:${KEY}\r\nbob@example.com:${KEY.toUpperCase()}${KEY}\n`,
      'keys',
    );
    expect([...keys].map(([user, key]) => [user, key.toString('hex')])).toEqual([
      ['alice', KEY],
      ['bob@example.com', KEY + KEY],
    ]);
  });

  it.each([
    ['', 'keys: holds no key'],
    [`\nalice ${KEY}`, 'keys: line 2 is not USER:HEXKEY'],
    [`alice:${KEY}0`, 'keys: line 1 is not USER:HEXKEY'],
    [`alice:xyz`, 'keys: line 1 is not USER:HEXKEY'],
    [`:${KEY}`, 'keys: line 1 is not USER:HEXKEY'],
    [`alice:0011`, 'keys: line 1 has a key of 2 bytes; it must have 16 to 512'],
    [`alice:${'00'.repeat(513)}`, 'keys: line 1 has a key of 513 bytes; it must have 16 to 512'],
    [`alice:${KEY}\nalice:${KEY}`, 'keys: line 2 has a second key for "alice"'],
    [`${'u'.repeat(257)}:${KEY}`, 'keys: line 1 has a user name of more than 256 bytes'],
  ])('refuses %j', (text, message) => {
    expect(faultOf(text)).toBe(message);
  });

  it('never fails otherwise, and never shows a key', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(faultOf(`${text}:${KEY.replace('f', 'g')}`)).not.toContain(KEY.slice(0, 20));
        expect(faultOf(text)).not.toBe('other');
      }),
    );
  });
});
