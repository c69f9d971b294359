import { describe, expect, it } from 'vitest';
import { parseImagePart } from '../../src/serve/image-part.js';

const parse = (text: string, files: readonly string[] = []): string => {
  const { src, partition } = parseImagePart(text, (path) => files.includes(path));
  return `${src} ${partition ?? '-'}`;
};

describe('parseImagePart', () => {
  it.each([
    ['disk.img', 'disk.img -'],
    ['disk.img:2', 'disk.img 2'],
    ['disk.img:0', 'disk.img 0'],
    ['debian-12:1', 'debian-12 1'],
    ['a:b:3', 'a:b 3'],
    ['https://example.com/disk.img', 'https://example.com/disk.img -'],
    ['https://example.com/disk.img:2', 'https://example.com/disk.img 2'],
    ['http://localhost:8080/disk.img:2', 'http://localhost:8080/disk.img 2'],
    ['http://localhost:8080', 'http://localhost:8080 -'],
    ['http://localhost:8080/', 'http://localhost:8080/ -'],
    ['disk.img:p2', 'disk.img:p2 -'],
    ['disk.img:', 'disk.img: -'],
    [':2', ':2 -'],
    ['disk.img:99999', 'disk.img:99999 -'],
  ])('%s', (text, expected) => {
    expect(parse(text)).toBe(expected);
  });

  it('prefers a file that has the whole name', () => {
    expect(parse('backup:2', ['backup:2'])).toBe('backup:2 -');
    expect(parse('backup:2', ['backup'])).toBe('backup 2');
  });
});
