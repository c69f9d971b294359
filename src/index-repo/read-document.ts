import type { PublicKey } from 'openpgp';
import type { Progress } from '../progress.js';
import { redactUrl } from '../io/redact-url.js';
import { isClearsigned, openEnvelope } from './clearsign-envelope.js';
import type { DocumentStore } from './document-store.js';
import type { VerifiedSignature } from './judge-signature.js';
import { printable } from '../io/printable.js';
import type { RollbackMemory, SignedVersion } from './rollback.js';
import { decodeText, verifyClearsigned } from './signature.js';

/** A text that may be parsed, and who vouches for it. */
export interface ReadDocument {
  readonly text: string;
  /** Line number, from 1, of its first line in the file. */
  readonly firstLine: number;
  /** Undefined when signatures are not checked. */
  readonly signature: VerifiedSignature | undefined;
}

/** What documents of one source are read by. */
export interface ReaderOptions {
  /** The bytes of the file at `url`. */
  readonly fetch: (url: string) => Promise<Uint8Array>;
  /** The keys trusted; undefined: signatures are not checked. */
  readonly keys: readonly PublicKey[] | undefined;
  readonly memory: RollbackMemory;
  readonly allowRollback: boolean;
  readonly progress: Progress;
  readonly now?: Date | undefined;
}

interface Accepted {
  readonly version: SignedVersion;
  readonly data: Uint8Array;
  readonly isOlder: boolean;
}

/** Fetches and verifies the documents of one source. What it has accepted is remembered only when all of it was good. */
export class DocumentReader {
  private readonly accepted: Accepted[] = [];

  constructor(private readonly options: ReaderOptions) {}

  /** Whether signatures are checked. */
  get isChecking(): boolean {
    return this.options.keys !== undefined;
  }

  /**
   * @returns the verified text of the file at `url`; without keys, the text whoever may have written it
   * @throws what `fetch` throws, TSB_INDEX_UNSIGNED, TSB_SIGNATURE_*
   */
  async read(url: string): Promise<ReadDocument> {
    const data = await this.options.fetch(url);
    const name = printable(redactUrl(url));
    const { keys, now } = this.options;
    if (!keys) return readUnchecked(data, name);
    const { text, firstLine, ...signature } = await verifyClearsigned(data, { name, keys, now });
    const version = { url, createdAt: signature.createdAt, text };
    const standing = await this.options.memory.check(version, this.options);
    if (standing === 'twin')
      this.options.progress.warn(
        `${name}: another text was signed in the same second as the one seen before`,
      );
    this.accepted.push({ version, data, isOlder: standing === 'older' });
    return { text, firstLine, signature };
  }

  /** Remembers the times of all signatures accepted; with a `store`, keeps copies of the documents. Only warns when it fails. */
  async remember(store: DocumentStore | undefined): Promise<void> {
    for (const { version, data, isOlder } of this.accepted) {
      try {
        await this.options.memory.remember(version, { forgetNewer: isOlder });
        await store?.write(version.url, data);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        this.options.progress.warn(
          `the index cannot be remembered, so an older one would not be noticed: ${reason}`,
        );
      }
    }
  }
}

function readUnchecked(data: Uint8Array, name: string): ReadDocument {
  const file = decodeText(data, name);
  if (!isClearsigned(file)) return { text: file, firstLine: 1, signature: undefined };
  const { unverifiedText, firstLine } = openEnvelope(file, name);
  return { text: unverifiedText, firstLine, signature: undefined };
}
