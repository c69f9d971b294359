import { describe, expect, it } from 'vitest';
import { freeNow } from '../../src/xz/free-now.js';

describe('freeNow', () => {
  it('frees a buffer of its own, again and again', () => {
    for (let round = 0; round < 100; round += 1) {
      const data = Buffer.allocUnsafeSlow(1024 * 1024);
      freeNow(data);
      expect(data.length).toBe(0);
      expect(() => freeNow(data)).not.toThrow();
    }
  });

  it('leaves alone what is a part of something else', () => {
    const whole = Buffer.allocUnsafeSlow(1000).fill(1);
    freeNow(whole.subarray(0, 999));
    expect(whole.every((byte) => byte === 1)).toBe(true);
  });
});
