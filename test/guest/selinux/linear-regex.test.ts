import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileLinearRegex } from '../../../src/guest/selinux/linear-regex.js';

const budget = (): { left: number } => ({ left: 1e9 });

/** Expressions over a small alphabet, so that many of them match something. */
const expression = fc.letrec<{ node: string }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.constantFrom('a', 'b', '/', '.', '\\.', '[ab]', '[^/]', '[a-b/]', '\\d'),
    fc.tuple(tie('node'), tie('node')).map(([x, y]) => x + y),
    fc.tuple(tie('node'), tie('node')).map(([x, y]) => `(${x}|${y})`),
    fc
      .tuple(tie('node'), fc.constantFrom('*', '+', '?', '{2}', '{1,2}', '{0,}'))
      .map(([x, sign]) => `(${x})${sign}`),
  ),
})).node;

describe('compileLinearRegex', () => {
  it('matches what RegExp matches', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', '1'), maxLength: 8 });
    fc.assert(
      fc.property(expression, fc.array(text, { minLength: 5 }), (source, texts) => {
        const mine = compileLinearRegex(source);
        const theirs = new RegExp(`^(?:${source})$`);
        for (const each of texts) expect(mine?.(each, budget())).toBe(theirs.test(each));
      }),
      { numRuns: 500 },
    );
  });

  it('does not stall where a backtracking matcher would', () => {
    const steps = budget();
    expect(compileLinearRegex('(/(a|a)+)+(a+)+b')?.(`/${'a'.repeat(4000)}`, steps)).toBe(false);
    expect(1e9 - steps.left).toBeLessThan(4000 * 60);
    const small = { left: 1000 };
    expect(compileLinearRegex('(a|b)*')?.('ab'.repeat(2000), small)).toBe(false);
  });

  it.each([
    '(?=a)',
    'a*?',
    'a++',
    '\\1',
    '(a',
    'a)',
    '[a',
    '^a',
    'a$',
    '(?<n>a)',
    'a{1000}',
    '*a',
    '\\',
    '[[:nope:]]',
    '('.repeat(40) + ')'.repeat(40),
    '((a{64}){64}){64}',
  ])('refuses %s', (source) => {
    expect(compileLinearRegex(source)).toBeUndefined();
  });

  it('takes any text as an expression', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (source, text) =>
        [true, false, undefined].includes(compileLinearRegex(source)?.(text, { left: 1e6 })),
      ),
    );
  });
});
