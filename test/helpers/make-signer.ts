import * as openpgp from 'openpgp';

/** A new key that signs texts, for tests that need other texts than the fixtures. */
export interface Signer {
  /** Armoured. */
  readonly publicKey: string;
  /** The clearsigned text, as if signed at midnight of `day`. */
  sign(text: string, day: string): Promise<Buffer>;
}

/** Makes a key that is valid from the start of 2026. */
export async function makeSigner(): Promise<Signer> {
  const { privateKey, publicKey } = await openpgp.generateKey({
    userIDs: [{ name: 'test' }],
    date: new Date('2026-01-01T00:00:00Z'),
    format: 'object',
  });
  return {
    publicKey: publicKey.armor(),
    async sign(text, day) {
      const message = await openpgp.createCleartextMessage({ text });
      const date = new Date(`${day}T00:00:00Z`);
      return Buffer.from(await openpgp.sign({ message, signingKeys: privateKey, date }));
    },
  };
}
