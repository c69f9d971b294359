import { describe, expect, it } from 'vitest';
import { fuzz } from './fuzz-run.js';

/** `NBD_FUZZ_MESSAGES` and `NBD_FUZZ_SEED` change what is run; a failure names the seed of the connection that failed. */
const MESSAGES = Number(process.env['NBD_FUZZ_MESSAGES'] ?? 1_000_000);
const SEED = Number(process.env['NBD_FUZZ_SEED'] ?? 1);

describe('random and damaged messages', () => {
  it(
    `neither crash nor hang the server, nor fill its memory (seed ${SEED})`,
    async () => {
      const result = await fuzz({ messages: MESSAGES, seed: SEED });
      expect(result.messages).toBeGreaterThanOrEqual(MESSAGES);
      expect(result.requests).toBeGreaterThan(MESSAGES / 2);
      expect(result.errors).toBeGreaterThan(0);
      expect(result.errors).toBeLessThan(result.requests);
      expect(result.mostBytes).toBeLessThan(600 * 1024 * 1024);
    },
    20 * 60_000,
  );
});
