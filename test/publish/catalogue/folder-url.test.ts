import { expect, it } from 'vitest';
import { folderUrl } from '../../../src/publish/catalogue/folder-url.js';

it.each([
  ['https://example.org/repo//', 'https://example.org/repo'],
  ['HTTP://Example.org', 'http://example.org'],
  ['https://example.org/a b/ünï/%41', 'https://example.org/a%20b/%C3%BCn%C3%AF/%41'],
])('%s is the folder %s', (text, url) => {
  expect(folderUrl(text)).toBe(url);
});

it.each([
  '',
  'example.org',
  'ftp://example.org',
  'https://',
  'https:///x',
  'https://example.org/?x=1',
  'https://example.org/#x',
  'https://example.org/?',
  'https://user:secret@example.org/',
  'https://[',
])('refuses %j', (text) => {
  const refusal = (): string => folderUrl(text);
  expect(refusal).toThrow(expect.objectContaining({ code: 'TSB_USAGE' }) as Error);
  expect(refusal).not.toThrow('secret');
});
