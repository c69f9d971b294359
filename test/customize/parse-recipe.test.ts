import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCustomize } from '../../src/customize/parse-recipe.js';

const parse = (text: string): ReturnType<typeof parseCustomize> => parseCustomize('list.yaml', text);
const names = (text: string): string[] => parse(text).operations.map(({ kind }) => kind.name);
const values = (text: string): unknown[] => parse(text).operations.map(({ value }) => value);

describe('a YAML list of operations', () => {
  it('is done in its order', () => {
    const text = '- timezone: Europe/Paris\n- hostname: web1\n- update\n- mkdir: /srv\n- update:\n';
    expect(names(text)).toEqual(['timezone', 'hostname', 'update', 'mkdir', 'update']);
    expect(parse('').operations).toEqual([]);
    expect(parse('# nothing\n').operations).toEqual([]);
    expect(names('[{hostname: a}, hostname: b]')).toEqual(['hostname', 'hostname']);
  });

  it('has values as maps, as text, and by anchors', () => {
    const [map, text] = values('- write: {path: /etc/motd, content: hi}\n- write: /etc/motd:hi\n');
    expect(map).toEqual(text);
    expect(values('- hostname: &name web1\n- hostname: *name\n')).toEqual(['web1', 'web1']);
  });

  it('has settings too', () => {
    const text = '- no-logfile\n- password-crypto: sha256\n- no-selinux-relabel: true\n';
    expect(parse(text).settings).toEqual({ logfile: false, passwordCrypto: 'sha256', selinuxRelabel: false });
  });

  it.each([
    ['hostname: web1', 'line 1, column 1: must be a list of operations'],
    ['- hostname: web1\n  timezone: UTC', 'line 1, column 3: has hostname and timezone in one item'],
    ['- hostname: web1\n- nope: 1', 'line 2, column 3: "nope" is no operation'],
    ['- hostname', 'line 1, column 3: --hostname needs NAME'],
    ['- hostname:\n', 'line 1, column 3: --hostname needs NAME'],
    ['- hostname: 42', 'line 1, column 13: hostname: Invalid type'],
    ['- write: {path: /etc/motd, content: 1}', 'line 1, column 10: write: content'],
    ['- write:\n    path: /etc/motd\n    text: x', 'line 2, column 5: write'],
    ['- 7', 'line 1, column 3: must be an operation such as'],
    ['- {}', 'line 1, column 3: must be an operation such as'],
    ['- hostname: a\n  hostname: b', 'line 2, column 3: Map keys must be unique'],
    ['- hostname: "a', 'line 1, column 15: Missing closing'],
    ['- hostname: !thing a', 'line 1, column 13: Unresolved tag'],
    ['- update: now', '--update takes nothing'],
    ['- commands-from-file: x', '"commands-from-file" is no operation'],
  ])('%j is refused with its place', (text, message) => {
    expect(() => parse(text)).toThrow(`list.yaml: ${message.startsWith('line') ? message : ''}`);
    expect(() => parse(text)).toThrow(message);
  });

  it('does not grow without end', () => {
    const bomb = ['- &a [x, x]', ...Array.from({ length: 30 }, (_, i) => `- &${'b'.repeat(i + 1)} [*a, *a]`)];
    expect(() => parse(bomb.join('\n'))).toThrow('list.yaml');
  });

  it('never throws anything but a usage error', () => {
    const piece = fc.constantFrom(
      '- ',
      'hostname',
      ': ',
      'write',
      '\n',
      '  ',
      '{',
      '}',
      '[',
      '*a',
      '&a ',
      'update',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string({ maxLength: 5 }))), (pieces) => {
        try {
          expect(parse(pieces.join('')).operations.length).toBeLessThanOrEqual(pieces.length);
        } catch (error) {
          expect(error).toMatchObject({ code: 'TSB_USAGE', details: { path: 'list.yaml' } });
        }
      }),
    );
  });
});
