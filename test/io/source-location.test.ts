import { describe, expect, it } from 'vitest';
import { openSource } from '../../src/io/open-source.js';
import { parseLocation } from '../../src/io/source-location.js';

describe('parseLocation', () => {
  it('tells paths and URLs apart', () => {
    expect(parseLocation('a:b/%zz')).toEqual({ kind: 'file', path: 'a:b/%zz' });
    expect(parseLocation('file:///tmp/a%20b')).toEqual({ kind: 'file', path: '/tmp/a b' });
    expect(parseLocation('HTTP://host/%zz')).toEqual({ kind: 'http', url: 'HTTP://host/%zz' });
  });

  it.each([
    'http://',
    'https://:0',
    'http://a b/',
    'http://h:99999/',
    'file:///%zz',
    'file://host/x',
    'ftp://h/x',
  ])('refuses %s as a mistake of the user', async (text) => {
    expect(() => parseLocation(text)).toThrow(expect.objectContaining({ code: 'TSB_USAGE' }));
    await expect(openSource(text)).rejects.toMatchObject({ code: 'TSB_USAGE' });
  });
});
