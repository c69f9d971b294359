import { describe, expect, it } from 'vitest';
import { formatCustomizeSummary, stageLines } from '../../src/ui/customize-summary.js';

const operations = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `touch /${index}`);

function summaryOf(count: number): string[] {
  const done = operations(count);
  const result = { done, secrets: [], hostKeys: [], rootLogin: undefined };
  return formatCustomizeSummary({ ...result, output: 'd.img', format: 'raw', backup: undefined }).split('\n');
}

describe('a summary', () => {
  it('tells every operation', () => {
    expect(summaryOf(51).filter((line) => line.includes('Done: touch'))).toHaveLength(51);
  });

  it('of very many tells the first, and how many more there were', () => {
    const lines = summaryOf(2000);
    expect(lines.filter((line) => line.includes('Done: touch'))).toHaveLength(50);
    expect(lines.join('\n')).toContain('And: 1950 operations more, which --json tells');
  });

  it('of what is planned does the same', () => {
    const planned = operations(300).map((description) => ({ name: 'touch', description }));
    expect(stageLines([{ runs: 'offline', operations: planned }]).slice(49)).toEqual([
      ['Customise', 'touch /49'],
      ['And', '250 operations more, which --json tells'],
    ]);
  });
});
