import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pathProblem, resolveBeside } from '../../src/index-repo/index-location.js';

const HTTP = 'https://example.org/repo/x86/index.asc?token=1#frag';

describe('resolveBeside', () => {
  it.each([
    [HTTP, 'a.xz', 'https://example.org/repo/x86/a.xz'],
    [HTTP, 'sub/a b+c.xz', 'https://example.org/repo/x86/sub/a%20b+c.xz'],
    [HTTP, 'a%20b.xz', 'https://example.org/repo/x86/a%20b.xz'],
    [HTTP, './a.xz', 'https://example.org/repo/x86/a.xz'],
    ['https://u:p@example.org/index', 'a.xz', 'https://u:p@example.org/a.xz'],
    ['/srv/repo/index.asc', 'sub/a%20b.xz', '/srv/repo/sub/a b.xz'],
    ['/index.asc', 'a.xz', '/a.xz'],
    ['file:///srv/my%20repo/index.asc', 'a.xz', 'file:///srv/my%20repo/a.xz'],
    [HTTP, 'a..b/...xz', 'https://example.org/repo/x86/a..b/...xz'],
  ])('%s + %s', (index, path, expected) => {
    expect(resolveBeside(index, path)).toBe(expected);
  });

  it.each([
    '',
    '/etc/passwd',
    '//evil.org/a',
    '../a',
    'a/../../b',
    'a/..',
    '..',
    '%2e%2e/a',
    '.%2E/a',
    '%252e%252e/a',
    '%25252e./a',
    'a%2f..%2f..%2fb',
    '%2fetc/passwd',
    'a\\..\\b',
    'a%5c..%5cb',
    'http://evil.org/a',
    'HTTP:a',
    'file:a',
    'http%3a//evil.org/a',
    'javascript:alert(1)',
    'a?b',
    'a#b',
    'a%3fb',
    'a%23b',
    'a\nb',
    'a%0ab',
    'a%00b',
    'a\u0000',
    ' a',
    'a ',
    'a%',
    'a%zz',
    'a%ff',
    'sub/',
    '.',
    'a/%2e',
    'x'.repeat(1025),
    '%252525252525252541',
  ])('refuses %j', (path) => {
    for (const index of [HTTP, '/srv/repo/index.asc', 'file:///srv/repo/index.asc'])
      expect(() => resolveBeside(index, path)).toThrow(
        expect.objectContaining({ code: 'TSB_INDEX_INVALID' }),
      );
  });

  it('never leaves the folder, however the path is written', () => {
    const piece = fc.constantFrom(
      '.',
      '..',
      '/',
      '\\',
      '%2e',
      '%2E',
      '%252e',
      '%2f',
      '%5c',
      'a',
      '%25',
      ':',
      '?',
      '#',
      '@',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const path = pieces.join('');
        if (pathProblem(path) !== undefined) return;
        const url = new URL(resolveBeside(HTTP, path));
        expect(url.href.startsWith('https://example.org/repo/x86/')).toBe(true);
        let text = url.pathname;
        for (let i = 0; i < 10; i += 1) {
          expect(text.split(/[/\\]/)).not.toContain('..');
          text = decodeURIComponent(text);
        }
        expect(resolveBeside('/srv/repo/index.asc', path).startsWith('/srv/repo/')).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });
});
