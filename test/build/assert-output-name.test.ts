import { describe, expect, it } from 'vitest';
import { assertOutputName } from '../../src/build/assert-output-name.js';
import { assertOutput } from '../../src/build/run-build.js';

const options = { format: 'raw', force: false, dryRun: true };

describe('the name of an output', () => {
  it('is neither empty nor standard output', async () => {
    expect(() => assertOutputName('')).toThrow(/output is empty/);
    expect(() => assertOutputName('-')).toThrow(/cannot go to standard output/);
    await expect(assertOutput('-', options)).rejects.toMatchObject({ code: 'TSB_USAGE' });
  });

  it('may be a file that is called so', async () => {
    await expect(assertOutput('./-', options)).resolves.toBeUndefined();
  });
});
