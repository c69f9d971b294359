/** Where a repository is published, for the commands that are shown to its users. */
export interface CataloguePlace {
  /** What users call the source. */
  readonly name: string;
  /** URL of the folder of the index, without a slash at its end. */
  readonly url: string;
  /** Of the key that signed the index. */
  readonly fingerprint: string;
}

/** The commands by which a user comes to trust the repository, one a line: for tsbuilder, and for virt-builder. */
export function sourceCommands({ name, url, fingerprint }: CataloguePlace): {
  readonly tsbuilder: string;
  readonly virtBuilder: string;
} {
  const fetch = `curl -fsSLO ${quote(`${url}/key.asc`)}`;
  const add = `tsbuilder source add ${quote(name)} ${quote(`${url}/index.asc`)} --key key.asc --fingerprint ${quote(fingerprint)}`;
  return { tsbuilder: `${fetch}\n${add}`, virtBuilder: `${fetch}\ngpg --import key.asc` };
}

/** The commands that build one template. @param template.arch only where several templates have the name */
export function buildCommands(
  { url, fingerprint }: CataloguePlace,
  template: { readonly name: string; readonly arch?: string | undefined },
): { readonly tsbuilder: string; readonly virtBuilder: string } {
  const arch = template.arch === undefined ? '' : ` --arch ${quote(template.arch)}`;
  const source = `--source ${quote(`${url}/index.asc`)}`;
  const trust = `--fingerprint ${quote(fingerprint)}`;
  const name = quote(template.name);
  return {
    tsbuilder: `tsbuilder ${name}${arch} ${source} --key key.asc ${trust}`,
    virtBuilder: `virt-builder ${name}${arch} ${source} ${trust}`,
  };
}

/** One word for a POSIX shell. */
function quote(word: string): string {
  return /^[A-Za-z0-9@%+=:,./_-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
