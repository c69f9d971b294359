import * as v from 'valibot';
import { LineCounter, type Node, isMap, isPair, isScalar, isSeq, parseDocument } from 'yaml';
import { TsbuilderError } from '../errors.js';
import { inOperation } from './apply-operations.js';
import { type CustomizeList, joinLists, parseRequest, unknownOperation } from './customize-list.js';
import { findOperation } from './operations.js';
import { readListFile } from './read-list-file.js';
import { issueText } from './text-or-object.js';
import { yamlFault } from './yaml-fault.js';

/** The text of a list with what is needed to say where something stands in it. */
interface Source {
  readonly path: string;
  readonly lines: LineCounter;
}

/**
 * Reads the YAML file of `--customize`.
 *
 * @throws TSB_NOT_FOUND when it cannot be read, and as `parseCustomize`
 */
export async function readCustomizeFile(path: string, signal?: AbortSignal): Promise<CustomizeList> {
  return parseCustomize(path, await readListFile(path, signal));
}

/**
 * Reads a YAML (1.2) list of operations: each item is a map with one key, the operation's name, whose value its schema checks;
 * an operation that takes nothing may be its name alone. docs/customize.schema.json is the schema of the whole.
 *
 * @param path for messages
 * @throws TSB_USAGE naming the file, the line and the column
 */
export function parseCustomize(path: string, text: string): CustomizeList {
  const lines = new LineCounter();
  const source = { path, lines };
  const document = parseDocument(text, { lineCounter: lines });
  const [syntax] = [...document.errors, ...document.warnings];
  if (syntax) throw fault(source, syntax.pos[0], yamlFault(syntax.code));
  const list = document.contents;
  if (list === null) return joinLists([]);
  if (!isSeq(list)) throw fault(source, offsetOf(list), 'must be a list of operations');
  const values = plainValues(source, () => document.toJS({ maxAliasCount: 100 }) as unknown[]);
  return joinLists(list.items.map((item, index) => parseItem(source, item as Node, values[index])));
}

function plainValues(source: Source, convert: () => unknown[]): unknown[] {
  try {
    return convert();
  } catch {
    throw fault(source, 0, 'has an alias without its anchor before it, or far too many');
  }
}

function parseItem(source: Source, node: Node, value: unknown): CustomizeList {
  const [name, argument] = entryOf(source, node, value);
  try {
    const setting = parseScalarRequest(name, argument);
    return setting ?? parseValue(source, { node, name, argument });
  } catch (error) {
    throw located(source, offsetOf(node), findOperation(name) ? inOperation(name, error) : error);
  }
}

/** The one key of the item's map and its value; a name alone has the value undefined. */
function entryOf(source: Source, node: Node, value: unknown): [string, unknown] {
  if (typeof value === 'string') return [value, undefined];
  const [entry, more] =
    typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
  if (entry === undefined)
    throw fault(source, offsetOf(node), 'must be an operation such as "hostname: web1"');
  if (more === undefined) return entry;
  throw fault(
    source,
    offsetOf(node),
    'has several keys in one item; begin each operation with a dash of its own',
  );
}

/** Settings, and operations that take nothing. Undefined for everything else. */
function parseScalarRequest(name: string, argument: unknown): CustomizeList | undefined {
  const kind = findOperation(name);
  const takesNothing = kind !== undefined && kind.argument === undefined;
  if (kind !== undefined && !takesNothing) return undefined;
  if (argument === undefined || argument === null || argument === true) return parseRequest(name, '');
  return typeof argument === 'string' ? parseRequest(name, argument) : undefined;
}

function parseValue(source: Source, item: { node: Node; name: string; argument: unknown }): CustomizeList {
  const kind = findOperation(item.name);
  if (!kind) throw unknownOperation(item.name);
  if (item.argument === undefined || item.argument === null) return parseRequest(item.name, '');
  const result = v.safeParse(kind.schema, item.argument);
  if (result.success) return { operations: [{ kind, value: result.output }], settings: {} };
  const [issue] = result.issues;
  const keys = (issue.path ?? []).map(({ key }) => key);
  const at = offsetOf(nodeAt(item.node, [item.name, ...innerPath(issue)]) ?? item.node);
  throw fault(source, at, `${[item.name, ...keys].join('.')}: ${issueText(issue)}`);
}

/** The keys that lead to what is wrong, also inside a map that is one of several forms of a value. */
function innerPath(issue: v.BaseIssue<unknown>): unknown[] {
  const inner = issue.issues?.at(-1);
  return [...(issue.path ?? []).map(({ key }) => key), ...(inner ? innerPath(inner) : [])];
}

/** The node at `keys` inside `node`, or the nearest around it that is there. */
function nodeAt(node: Node, keys: readonly unknown[]): Node | undefined {
  const [key, ...rest] = keys;
  if (key === undefined) return node;
  const pair = isMap(node)
    ? node.items.find((each) => isPair(each) && isScalar(each.key) && each.key.value === key)
    : undefined;
  const next = pair ? (pair.value ?? pair.key) : isSeq(node) ? node.items[Number(key)] : undefined;
  return next === undefined || next === null ? node : nodeAt(next as Node, rest);
}

function offsetOf(node: Node): number {
  return node.range?.[0] ?? 0;
}

function located(source: Source, offset: number, error: unknown): unknown {
  if (!(error instanceof TsbuilderError) || error.details['line'] !== undefined) return error;
  return fault(source, offset, error.message, error);
}

function fault(source: Source, offset: number, problem: string, cause?: TsbuilderError): TsbuilderError {
  const { line, col } = source.lines.linePos(offset);
  const { path } = source;
  return new TsbuilderError('TSB_USAGE', `${path}: line ${line}, column ${col}: ${problem}`, {
    hint: cause?.hint ?? 'The format is described in docs/customize.md.',
    details: { path, line, column: col },
    cause,
  });
}
