import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { redactUrl } from '../../src/io/redact-url.js';
import { parseLocation } from '../../src/io/source-location.js';

describe('redactUrl', () => {
  it.each([
    ['https://user:secret@host:8080/a/b.xz', 'https://host:8080/a/b.xz'],
    ['https://host/a?X-Amz-Signature=secret#secret', 'https://host/a?...'],
    ['http://token@host/', 'http://host/'],
    ['/a/path?x', '/a/path?x'],
    ['file:///a/b', 'file:///a/b'],
    ['not a url', 'not a url'],
  ])('%s becomes %s', (url, shown) => {
    expect(redactUrl(url)).toBe(shown);
  });

  it('never lets a password or query through', () => {
    const secret = fc.stringMatching(/^S3CRET[a-z0-9]{1,10}$/);
    fc.assert(
      fc.property(secret, fc.webUrl({ withQueryParameters: true }), (word, base) => {
        const url = new URL(base);
        url.username = `u${word}`;
        url.password = word;
        url.searchParams.set('key', word);
        expect(redactUrl(url)).not.toContain(word);
        expect(redactUrl(url.href)).not.toContain(word);
      }),
    );
  });
});

describe('parseLocation', () => {
  it.each([
    ['/a/b', { kind: 'file', path: '/a/b' }],
    ['a:b', { kind: 'file', path: 'a:b' }],
    ['file:///a%20b', { kind: 'file', path: '/a b' }],
    ['file://localhost/a', { kind: 'file', path: '/a' }],
    ['HTTPS://host/x', { kind: 'http', url: 'HTTPS://host/x' }],
  ])('%s', (text, location) => {
    expect(parseLocation(text)).toEqual(location);
  });

  it.each(['ftp://user:secret@host/a', 'file://otherhost/a', 'file:///a%2Fb', 'http://user:secret@[/'])(
    'refuses %s without printing secrets',
    (text) => {
      expect(() => parseLocation(text)).toThrow(expect.objectContaining({ code: 'TSB_USAGE' }));
      expect(() => parseLocation(text)).toThrow(/^((?!secret).)*$/);
    },
  );
});
