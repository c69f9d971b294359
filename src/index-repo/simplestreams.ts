import { isArchitecture, isRevision, isTemplateName } from './index-file.js';
import { pathProblem, resolveBeside } from './index-location.js';
import type { VerifiedSignature } from './judge-signature.js';
import type { DocumentReader } from './read-document.js';
import { compareRevisions } from './revision.js';
import {
  type StreamItem,
  type StreamProduct,
  parseStreamIndex,
  parseStreamItem,
  parseStreamProducts,
} from './simplestreams-schema.js';
import type { SourceRef, TemplateEntry } from './template-entry.js';

/** The kinds of files that are disks, best first. */
const DISKS = ['disk1.img', 'disk.img'];
const MAX_PRODUCT_FILES = 64;

/**
 * Reads a simplestreams repository (`index:1.0`, `products:1.0`): for each product the newest version with a disk image.
 * Names, versions and architectures that do not fit the rules of the native index are changed or left out.
 *
 * With keys, everything is read from the clearsigned `.sjson` files; without, from `.json`.
 *
 * @param uri the folder above `streams/`
 * @throws TSB_INDEX_SYNTAX, TSB_INDEX_INVALID, and what `reader` throws
 */
export async function loadSimplestreams(
  reader: DocumentReader,
  uri: string,
  ref: (signature: VerifiedSignature | undefined) => SourceRef,
): Promise<{ source: SourceRef; entries: TemplateEntry[]; createdAt: Date | undefined }> {
  // What `resolveBeside` takes as the index is a file in the repository's top folder.
  const top = `${uri.replace(/\/+$/, '')}/index`;
  const indexUrl = resolveBeside(top, `streams/v1/index.${reader.isChecking ? 'sjson' : 'json'}`);
  const { text, signature } = await reader.read(indexUrl);
  const source = ref(signature);
  const { index } = await parseStreamIndex(text, indexUrl);
  const files = Object.values(index)
    .filter(isDiskList)
    .map(({ path }) => path);
  const entries: TemplateEntry[] = [];
  for (const path of [...new Set(files)].slice(0, MAX_PRODUCT_FILES)) {
    const url = resolveBeside(top, path);
    const { products } = await parseStreamProducts((await reader.read(url)).text, url);
    for (const [name, product] of Object.entries(products)) {
      const entry = await readProduct(name, product, { top, source });
      if (entry) entries.push(entry);
    }
  }
  return { source, entries: withoutRepeats(entries), createdAt: signature?.createdAt };
}

function isDiskList({
  format,
  datatype,
}: {
  format?: string | undefined;
  datatype?: string | undefined;
}): boolean {
  return format === 'products:1.0' && datatype === 'image-downloads';
}

interface ProductContext {
  readonly top: string;
  readonly source: SourceRef;
}

/** The entry for the newest version of a product that can be used; undefined when there is none. */
async function readProduct(
  key: string,
  product: StreamProduct,
  { top, source }: ProductContext,
): Promise<TemplateEntry | undefined> {
  const name = asName(key);
  if (!isTemplateName(name) || !isArchitecture(product.arch)) return undefined;
  const versions = Object.keys(product.versions).filter(isRevision).sort(compareRevisions).reverse();
  for (const revision of versions) {
    const version = product.versions[revision];
    const item = await diskOf(version?.items ?? {});
    if (!item) continue;
    const aliases = [key, version?.pubname ?? ''].filter(
      (alias) => alias !== name && /^[\x21-\x7e]{1,128}$/.test(alias),
    );
    return {
      name,
      fullName: version?.pubname ?? product.release_title,
      arch: product.arch,
      url: resolveBeside(top, item.path),
      sha256: item.sha256,
      sha512: item.sha512,
      revision,
      size: item.size,
      compressedSize: item.size,
      notes: {},
      hidden: false,
      aliases,
      source,
    };
  }
  return undefined;
}

async function diskOf(items: Readonly<Record<string, unknown>>): Promise<StreamItem | undefined> {
  for (const kind of DISKS) {
    const item = Object.hasOwn(items, kind) ? await parseStreamItem(items[kind]) : undefined;
    if (item && pathProblem(item.path) === undefined) return item;
  }
  return undefined;
}

/** A product key such as `com.ubuntu.cloud:server:22.04:amd64` as a name: every other character becomes a dash. */
function asName(key: string): string {
  return key.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[.-]+/, '');
}

function withoutRepeats(entries: readonly TemplateEntry[]): TemplateEntry[] {
  const seen = new Set<string>();
  return entries.filter(({ name, arch }) => !seen.has(`${name} ${arch}`) && seen.add(`${name} ${arch}`));
}
