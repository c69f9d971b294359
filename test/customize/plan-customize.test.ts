import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRequest } from '../../src/customize/customize-list.js';
import type { Operation } from '../../src/customize/operation-kind.js';
import { describeStages, planCustomize } from '../../src/customize/plan-customize.js';

const operation = (text: string): Operation => {
  const [name = '', ...words] = text.split(' ');
  return parseRequest(name, words.join(' ')).operations[0]!;
};
const plan = (...texts: string[]): string[] =>
  planCustomize(texts.map(operation)).map(
    ({ runs, operations }) => `${runs}: ${operations.map(({ kind }) => kind.name).join(' ')}`,
  );

const SAMPLES = [
  'hostname a',
  'run-command x',
  'root-password random',
  'update',
  'mkdir /x',
  'password u:random',
];

describe('planCustomize', () => {
  it('joins neighbours that are done in the same way', () => {
    expect(plan()).toEqual([]);
    expect(plan('hostname a', 'mkdir /x')).toEqual(['offline: hostname mkdir']);
    expect(plan('mkdir /x', 'update', 'run-command x', 'hostname a')).toEqual([
      'offline: mkdir',
      'in-guest: update run-command',
      'offline: hostname',
    ]);
  });

  it('puts passwords last, in their order', () => {
    expect(plan('root-password random', 'password a:random', 'update', 'hostname a')).toEqual([
      'in-guest: update',
      'offline: hostname root-password password',
    ]);
  });

  it('keeps what is there twice', () => {
    expect(plan('hostname a', 'hostname b')).toEqual(['offline: hostname hostname']);
  });

  it('loses nothing and keeps the order of all but passwords', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...SAMPLES)), (texts) => {
        const operations = texts.map(operation);
        const stages = planCustomize(operations);
        const all = stages.flatMap((stage) => stage.operations);
        const isLast = ({ kind }: Operation): boolean => kind.last === true;
        expect(all).toEqual([...operations.filter((one) => !isLast(one)), ...operations.filter(isLast)]);
        for (const { runs, operations: some } of stages)
          for (const { kind } of some) expect(kind.runs).toBe(runs);
        stages.slice(1).forEach(({ runs }, i) => expect(runs).not.toBe(stages[i]?.runs));
      }),
    );
  });

  it('is told without secrets', () => {
    const stages = planCustomize(
      ['root-password password:s3cret', 'password u:locked:password:s3cret'].map(operation),
    );
    const text = JSON.stringify(describeStages(stages));
    expect(text).toContain('root-password');
    expect(text).not.toContain('s3cret');
  });
});
