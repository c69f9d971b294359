import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printable, printableJson, printableLines } from '../../src/io/printable.js';

describe('printable', () => {
  it('shows what would move the cursor or turn text round', () => {
    expect(printable('a\x1b[2Jb\r\u202ec\u0085')).toBe('a\\x1b[2Jb\\x0d\\u202ec\\x85');
    expect(printable('Größe 你好')).toBe('Größe 你好');
  });

  it('leaves nothing harmful in any text, and lines whole', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(printable(text)).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
        expect(printableLines(text)).toHaveLength(text.split('\n').length);
      }),
    );
  });

  it('writes JSON that parses to the same and is harmless', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const json = printableJson({ text });
        expect(JSON.parse(json)).toEqual({ text });
        expect(json.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
      }),
    );
  });
});
