import type { TsbuilderError } from '../errors.js';

/** A source as it was configured, before anything has been fetched. */
export interface SourceConfig {
  /** The `[id]` in its .conf file; for `--source` its location without credentials. */
  readonly name: string;
  /** Path or URL of the index; for simplestreams, of the folder above `streams/`. */
  readonly uri: string;
  readonly format: 'native' | 'simplestreams';
  /** `no`, `off`, `system` or a URL. */
  readonly proxy?: string | undefined;
  /** Paths of files with trusted keys. */
  readonly keyFiles: readonly string[];
  /** If not empty: only these keys of the key files, or of the user's GnuPG keyring where there is no key file. */
  readonly fingerprints: readonly string[];
  /** Where it was configured, for people: a path, `--source`, `local repository`. */
  readonly origin: string;
  /** Why it must not be used. */
  readonly problem?: TsbuilderError | undefined;
}
