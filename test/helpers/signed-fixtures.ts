import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PublicKey } from 'openpgp';
import { readKeyring } from '../../src/index-repo/keyring.js';

/** The folder of test/fixtures/keys. */
export const KEYS: string = join(import.meta.dirname, '..', 'fixtures', 'keys');

/** The day on which the signed fixtures are looked at. */
export const NOW: Date = new Date('2026-06-01T00:00:00Z');

/** The bytes of a file in test/fixtures/keys. */
export function fixture(name: string): Buffer {
  return readFileSync(join(KEYS, name));
}

/** The public keys `NAME.key.asc` of test/fixtures/keys. */
export async function fixtureKeys(...names: string[]): Promise<PublicKey[]> {
  const keys = await Promise.all(names.map((name) => readKeyring(fixture(`${name}.key.asc`), name)));
  return keys.flat();
}
