import type * as valibot from 'valibot';
import { indexError } from './index-lexer.js';

/** A file of a version: what is used of it. */
export interface StreamItem {
  readonly path: string;
  readonly size: number;
  readonly sha256?: string | undefined;
  readonly sha512?: string | undefined;
}

/** A product: what is used of it. */
export interface StreamProduct {
  readonly arch: string;
  readonly release_title?: string | undefined;
  readonly versions: Readonly<
    Record<
      string,
      { readonly pubname?: string | undefined; readonly items: Readonly<Record<string, unknown>> }
    >
  >;
}

/** `streams/v1/index.json`. */
export interface StreamIndex {
  readonly format: 'index:1.0';
  readonly index: Readonly<
    Record<
      string,
      { readonly format?: string | undefined; readonly datatype?: string | undefined; readonly path: string }
    >
  >;
}

/** A product file. */
export interface StreamProducts {
  readonly format: 'products:1.0';
  readonly products: Readonly<Record<string, StreamProduct>>;
}

type Valibot = typeof valibot;

/**
 * Parses and checks `streams/v1/index.json`.
 *
 * @throws TSB_INDEX_SYNTAX when it is not JSON, TSB_INDEX_INVALID when it is not of format `index:1.0`
 */
export async function parseStreamIndex(text: string, url: string): Promise<StreamIndex> {
  const v = await import('valibot');
  const entry = v.object({
    format: v.optional(v.string()),
    datatype: v.optional(v.string()),
    path: v.string(),
  });
  return check(v, v.object({ format: v.literal('index:1.0'), index: v.record(v.string(), entry) }), {
    text,
    url,
  });
}

/**
 * Parses and checks a product file. Items are checked one by one, by {@link parseStreamItem}, because most kinds are not for us.
 *
 * @throws TSB_INDEX_SYNTAX when it is not JSON, TSB_INDEX_INVALID when it is not of format `products:1.0`
 */
export async function parseStreamProducts(text: string, url: string): Promise<StreamProducts> {
  const v = await import('valibot');
  const version = v.object({ pubname: v.optional(v.string()), items: v.record(v.string(), v.unknown()) });
  const product = v.object({
    arch: v.string(),
    release_title: v.optional(v.string()),
    versions: v.record(v.string(), version),
  });
  const schema = v.object({ format: v.literal('products:1.0'), products: v.record(v.string(), product) });
  return check(v, schema, { text, url });
}

/** The item, or undefined when it is not usable: no path, no size, a checksum that is none. */
export async function parseStreamItem(item: unknown): Promise<StreamItem | undefined> {
  const v = await import('valibot');
  const digest = (digits: number) =>
    v.optional(v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${digits}}$`, 'i')), v.toLowerCase()));
  const schema = v.object({
    path: v.string(),
    size: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
    sha256: digest(64),
    sha512: digest(128),
  });
  const result = v.safeParse(schema, item);
  return result.success ? result.output : undefined;
}

function check<T>(
  v: Valibot,
  schema: valibot.GenericSchema<unknown, T>,
  file: { readonly text: string; readonly url: string },
): T {
  const result = v.safeParse(schema, parseJson(file.text, file.url));
  if (result.success) return result.output;
  const [issue] = result.issues;
  const message = `${v.getDotPath(issue) ?? 'the document'}: ${issue.message}`;
  throw indexError('TSB_INDEX_INVALID', file, { line: 1, column: 1, message });
}

function parseJson(text: string, url: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = (error as SyntaxError).message;
    const position = Number(/position (\d+)/.exec(reason)?.[1] ?? text.length);
    const before = text.slice(0, position).split('\n');
    const at = { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
    throw indexError('TSB_INDEX_SYNTAX', { url }, { ...at, message: 'this is not JSON' });
  }
}
