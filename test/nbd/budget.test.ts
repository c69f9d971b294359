import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Budget } from '../../src/nbd/budget.js';

describe('Budget', () => {
  it('never lends more than it has, and serves in order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(150), { maxLength: 40 }), async (amounts) => {
        const budget = new Budget(100);
        let lent = 0;
        let most = 0;
        const order: number[] = [];
        await Promise.all(
          amounts.map(async (amount, index) => {
            const giveBack = await budget.take(amount);
            order.push(index);
            lent += Math.min(amount, 100);
            most = Math.max(most, lent);
            await new Promise((resolve) => setImmediate(resolve));
            lent -= Math.min(amount, 100);
            giveBack();
          }),
        );
        expect(most).toBeLessThanOrEqual(100);
        expect(order).toEqual(amounts.map((_, index) => index));
      }),
      { numRuns: 50 },
    );
  });

  it('makes a small request wait behind a big one', async () => {
    const budget = new Budget(10);
    const first = await budget.take(6);
    const order: string[] = [];
    const big = budget.take(8).then((giveBack) => {
      order.push('big');
      giveBack();
    });
    const small = budget.take(1).then((giveBack) => {
      order.push('small');
      giveBack();
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(order).toEqual([]);
    first();
    await Promise.all([big, small]);
    expect(order).toEqual(['big', 'small']);
  });
});
