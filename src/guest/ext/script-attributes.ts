import { createHash } from 'node:crypto';
import { toByteString } from '../byte-path.js';
import type { FileContent } from '../guest.js';
import type { TreeNode } from '../tree.js';
import { quoteWord, scriptLine } from './debugfs-script.js';

const TYPE_BITS = {
  fifo: 0o010000,
  character: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
} as const;

/**
 * Appends the commands that give the file `at.word` the mode, owner, extended attributes and times of `node`: those that
 * differ from its base, or all of a new file. The time of the inode's own change becomes `at.now`.
 */
export function setAttributes(
  to: { script: string[]; inputs: Map<string, FileContent> },
  node: TreeNode,
  at: { word: string; now: number },
): void {
  const { base } = node;
  const set = (field: string, value: string | number): void => {
    to.script.push(scriptLine('sif', at.word, field, value));
  };
  if (node.mode !== (base?.mode ?? modeWhenMade(node)))
    set('mode', `0${(TYPE_BITS[node.type] | node.mode).toString(8)}`);
  if (node.uid !== (base?.uid ?? 0)) set('uid', node.uid);
  if (node.gid !== (base?.gid ?? 0)) set('gid', node.gid);
  for (const name of node.changedXattrs) {
    const value = node.xattrs?.get(name);
    if (value === undefined) {
      to.script.push(scriptLine('ea_rm', at.word, quoteWord(toByteString(name))));
    } else {
      // Many files have the same label.
      const input = `attribute-${createHash('sha256').update(value).digest('hex')}`;
      to.inputs.set(input, value);
      to.script.push(scriptLine('ea_set', '-f', input, at.word, quoteWord(toByteString(name))));
    }
  }
  const made = base ? undefined : timeWhenMade(at.now);
  if (node.mtime !== (base?.mtime ?? made)) set('mtime', `@${node.mtime}`);
  if (made === undefined) set('ctime', `@${at.now}`);
}

/** The permission bits that debugfs gives what it makes, where they are always the same. Owner and group are then 0. */
function modeWhenMade(node: TreeNode): number | undefined {
  if (node.type === 'directory') return 0o755;
  return node.type === 'symlink' ? 0o777 : undefined;
}

/** The times that debugfs gives what it makes, when it takes `now` for the present; it cuts them to 32 bits. */
function timeWhenMade(now: number): number | undefined {
  return now > 0 && now < 2 ** 31 ? now : undefined;
}
