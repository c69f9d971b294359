import { createReadStream } from 'node:fs';
import { TsbuilderError } from '../../errors.js';
import { contentSize } from '../read-files.js';
import { pathText } from '../resolve-path.js';
import { type BaseFile, type BaseFilesystem, type LoadedNode, type TreeNode, openTree } from '../tree.js';
import type { CommitPlan } from './plan-commit.js';

/**
 * Reads back what a commit was to do: `base` must show every name, content and attribute as planned.
 *
 * @throws TSB_GUEST with the first difference
 */
export async function checkCommit(base: BaseFilesystem, plan: CommitPlan): Promise<void> {
  const tree = openTree(base, 0);
  for (const { folder, name } of plan.gone) {
    if ((await base.entries(folder)).has(name)) throw difference(base, name, 'is still there');
  }
  for (const { path, node } of plan.added) {
    let found: LoadedNode | undefined = await tree.root();
    for (const name of path) found = found && ((await tree.child(found, name)) as LoadedNode | undefined);
    if (!found) throw difference(base, pathText(path), 'is missing');
    await compare(base, { name: pathText(path), node, found: found.base });
  }
  for (const node of plan.changed) {
    await compare(base, { name: `inode ${node.base.id}`, node, found: await base.file(node.base.id) });
  }
}

interface Comparison {
  readonly name: string;
  readonly node: TreeNode;
  readonly found: BaseFile;
}

async function compare(base: BaseFilesystem, what: Comparison): Promise<void> {
  const { name, node, found } = what;
  for (const field of ['type', 'mode', 'uid', 'gid'] as const) {
    if (found[field] !== node[field])
      throw difference(base, name, `has ${field} ${found[field]}, not ${node[field]}`);
  }
  const xattrs = node.changedXattrs.size > 0 ? await base.xattrs(found.id) : new Map<string, Buffer>();
  for (const key of node.changedXattrs) {
    const wanted = node.xattrs?.get(key);
    const there = xattrs.get(key);
    if (wanted === undefined ? there !== undefined : !there?.equals(wanted))
      throw difference(base, name, `has another attribute ${key}`);
  }
  if (node.target !== undefined && (await base.target(found.id)) !== node.target) {
    throw difference(base, name, 'has another target');
  }
  const { device } = node;
  if (device && (found.device?.major !== device.major || found.device.minor !== device.minor))
    throw difference(base, name, 'is another device');
  if (node.content !== undefined) await compareContent(base, what);
}

async function compareContent(base: BaseFilesystem, { name, node, found }: Comparison): Promise<void> {
  const content = node.content ?? '';
  const size = await contentSize(content);
  if (found.size !== size) throw difference(base, name, `has ${found.size} bytes, not ${size}`);
  let offset = 0;
  for await (const piece of contentPieces(content)) {
    const there = await base.content(found.id, { offset, length: piece.length });
    if (!there.equals(piece)) throw difference(base, name, `differs after byte ${offset}`);
    offset += piece.length;
  }
}

async function* contentPieces(content: NonNullable<TreeNode['content']>): AsyncGenerator<Buffer> {
  if (typeof content === 'string') yield Buffer.from(content);
  else if (content instanceof Uint8Array) yield Buffer.from(content);
  else
    for await (const piece of createReadStream(content.hostFile, { highWaterMark: 1 << 20 }))
      yield piece as Buffer;
}

function difference(base: BaseFilesystem, name: string, what: string): TsbuilderError {
  return new TsbuilderError('TSB_GUEST', `${base.name}: after the change ${name} ${what}`);
}
