import { expect, it } from 'vitest';
import { formatSize } from '../../src/io/format-size.js';

it.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1 KiB'],
  [1536, '1.5 KiB'],
  [99.96 * 1024, '100 KiB'],
  [1023.4 * 1024, '1023 KiB'],
  [1023.5 * 1024, '1 MiB'],
  [1024 ** 3 - 1, '1 GiB'],
  [-(1024 ** 2 - 1), '-1 MiB'],
  [4000 * 1024 ** 5, '4000 PiB'],
])('shows %d bytes as %s', (bytes, text) => {
  expect(formatSize(bytes)).toBe(text);
});
