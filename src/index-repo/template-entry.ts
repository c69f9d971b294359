/** The source that an entry came from: who vouches for it, and how its files are fetched. */
export interface SourceRef {
  /** The `[id]` of the source, or for `--source` its location without credentials. */
  readonly name: string;
  /** Where the index is: a path or a URL. May carry credentials: print it through `redactUrl`. */
  readonly uri: string;
  readonly format: 'native' | 'simplestreams';
  /** Fingerprint (lower-case hex) of the primary key whose signature was verified. */
  readonly fingerprint?: string | undefined;
  /** Path of the file that holds the key that has signed; before that is known, the first of the source's key files. */
  readonly keyFile?: string | undefined;
  /** `no`, `off`, `system` or a URL. */
  readonly proxy?: string | undefined;
  /** Whether the index's signature was verified. */
  readonly checked: boolean;
}

/** One template of an index, every field checked. Texts may hold control characters: print them through `printable`. */
export interface TemplateEntry {
  /** `A-Za-z0-9._-`, not starting with a dot or a dash. */
  readonly name: string;
  readonly fullName?: string | undefined;
  readonly osinfo?: string | undefined;
  /** `A-Za-z0-9_-`, as the index spells it. */
  readonly arch: string;
  /** Where the template is: below the folder of its index. A path when the index was named by a path, else a URL. */
  readonly url: string;
  /** Where its detached signature is, under the same rule. */
  readonly sigUrl?: string | undefined;
  /** SHA-512 of the file as served, lower-case hex. */
  readonly sha512?: string | undefined;
  /** SHA-256 of the file as served, lower-case hex. */
  readonly sha256?: string | undefined;
  /** Compared by `compareRevisions`; `1` when the index says nothing. */
  readonly revision: string;
  /** `raw`, `qcow2`, ...; undefined means that the content tells. */
  readonly format?: string | undefined;
  /** Virtual size in bytes, and the smallest disk the template fits. */
  readonly size: number;
  /** Size in bytes of the file as served, as far as the index says. */
  readonly compressedSize?: number | undefined;
  /** Partition to grow, such as `/dev/sda3`. */
  readonly expand?: string | undefined;
  /** Logical volume to grow. */
  readonly lvexpand?: string | undefined;
  /** Notes by language; the key of the untranslated ones is the empty string. */
  readonly notes: Readonly<Record<string, string>>;
  /** Not listed, but can be built by name. */
  readonly hidden: boolean;
  readonly aliases: readonly string[];
  /** Where the list of the template's block checksums is. */
  readonly blocks?: string | undefined;
  readonly blocksSha512?: string | undefined;
  /** What the bytes of the file depend on besides its content, in the words of `packingName`. */
  readonly packing?: string | undefined;
  readonly source: SourceRef;
}
