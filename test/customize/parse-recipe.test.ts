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
    ['- hostname: web1\n  timezone: UTC', 'line 1, column 3: has several keys in one item'],
    ['- hostname: web1\n- nope: 1', 'line 2, column 3: there is no such operation'],
    ['- hostname', 'line 1, column 3: --hostname needs NAME'],
    ['- hostname:\n', 'line 1, column 3: --hostname needs NAME'],
    ['- hostname: 42', 'line 1, column 13: hostname: must be text'],
    ['- write: {path: /etc/motd, content: 1}', 'line 1, column 37: write: content must be text'],
    ['- write:\n    path: /etc/motd\n    text: x', 'line 3, column 11: write: has a key that is not known'],
    ['- 7', 'line 1, column 3: must be an operation such as'],
    ['- {}', 'line 1, column 3: must be an operation such as'],
    ['- hostname: a\n  hostname: b', 'line 2, column 3: a map has this key already'],
    ['- hostname: "a', 'line 1, column 15: a character is missing'],
    ['- hostname: !thing a', 'line 1, column 13: a tag is not known'],
    ['- update: now', '--update takes nothing'],
    ['- commands-from-file: x', 'there is no such operation'],
  ])('%j is refused with its place', (text, message) => {
    expect(() => parse(text)).toThrow(`list.yaml: ${message.startsWith('line') ? message : ''}`);
    expect(() => parse(text)).toThrow(message);
  });

  it.each([
    'Secret-1',
    '- Secret-1',
    '- Secret-1: x',
    '- root-password: Secret-1',
    '- root-password: {Secret-1}',
    '- root-password: {password:Secret-1}',
    '- root-password: {password: [Secret-1]}',
    '- root-password: {file: x, password: Secret-1}',
    '- root-password: [Secret-1]',
    '- password: {user: root, Secret-1: x}',
    '- password: root:Secret-1',
    '- user: {name: bob, password: Secret-1}',
    '- user: {name: bob, password: {password: Secret-1}}',
    '- hostname: a\n  Secret-1: b',
    '- root-password: "Secret-1',
    '- root-password: *Secret-1',
    '- root-password: !Secret-1 x',
    '- root-password: @Secret-1',
    '- root-password: %Secret-1',
    '- root-password: "\\Secret-1"',
    '- Secret-1: x\n  Secret-1: y',
    '- update: Secret-1',
    '- write: {path: /x, content: [Secret-1]}',
    '- install: {Secret-1: x}',
  ])('%j is refused without being repeated', (text) => {
    const told = (): string => {
      try {
        parse(text);
      } catch (error) {
        return `${String(error)} ${JSON.stringify(error)}`;
      }
      throw new Error('no fault');
    };
    expect(told()).toMatch(/line \d+, column \d+/);
    expect(told()).not.toContain('Secret');
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
