import { open } from 'node:fs/promises';
import { TsbuilderError } from '../../errors.js';
import { readFully } from '../../io/file-source.js';
import { forEachParallel } from '../../io/parallel.js';
import { pathText } from '../resolve-path.js';
import { type BaseFile, type BaseFilesystem, type LoadedNode, type TreeNode, openTree } from '../tree.js';
import type { CommitPlan } from './plan-commit.js';

const PIECE = 1024 * 1024;
/** As many as libuv has threads. */
const JOBS = 4;

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
  const checkAdded = async ({ path, node }: CommitPlan['added'][number]): Promise<void> => {
    let found: LoadedNode | undefined = await tree.root();
    for (const name of path) found = found && ((await tree.child(found, name)) as LoadedNode | undefined);
    if (!found) throw difference(base, pathText(path), 'is missing');
    await compare(base, { name: pathText(path), node, found: found.base });
  };
  // The first fills what is shared: the folders that many are in.
  const [first, ...others] = plan.added;
  if (first) await checkAdded(first);
  await forEachParallel(others, checkAdded, { jobs: JOBS });
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

async function compareContent(base: BaseFilesystem, what: Comparison): Promise<void> {
  const content = what.node.content ?? '';
  if (typeof content === 'string' || content instanceof Uint8Array) {
    const data = Buffer.from(content);
    assertSize(base, what, data.length);
    return comparePiece(base, what, { piece: data, offset: 0 });
  }
  await using file = await open(content.hostFile, 'r');
  const { size } = await file.stat();
  assertSize(base, what, size);
  for (let offset = 0; offset < size; offset += PIECE) {
    const data = Buffer.allocUnsafe(Math.min(PIECE, size - offset));
    await readFully(content.hostFile, file, { data, offset });
    await comparePiece(base, what, { piece: data, offset });
  }
}

function assertSize(base: BaseFilesystem, { name, found }: Comparison, size: number): void {
  if (found.size !== size) throw difference(base, name, `has ${found.size} bytes, not ${size}`);
}

async function comparePiece(
  base: BaseFilesystem,
  { name, found }: Comparison,
  { piece, offset }: { piece: Buffer; offset: number },
): Promise<void> {
  const there = await base.content(found.id, { offset, length: piece.length });
  if (!there.equals(piece)) throw difference(base, name, `differs after byte ${offset}`);
}

function difference(base: BaseFilesystem, name: string, what: string): TsbuilderError {
  return new TsbuilderError('TSB_GUEST', `${base.name}: after the change ${name} ${what}`);
}
